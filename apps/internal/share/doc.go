// Package share is the option by which programs are told how much of their work executors do: auto, or a number of
// percent.
package share
