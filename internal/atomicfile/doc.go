// Package atomicfile writes files that are there, whole, after whatever comes: a crash of the process or of the host
// leaves the old file or the new one. [Write] is for files of our own; [Create] for those that a user names, which can
// be a link, a device, a pipe, or stand for a descriptor of the process, and must not be replaced then.
package atomicfile
