// Package setup puts to use what the files of rFaaS's tutorial say (package config reads them): at which
// address a device is, by which device executors are reached, and which resource manager is meant.
package setup
