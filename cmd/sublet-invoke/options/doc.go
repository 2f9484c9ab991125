// Package options is the command line of sublet invoke. The program sublet declares, checks and
// explains it, and hands it on unchanged to sublet-invoke, which can do what sublet, without C, can not.
package options
