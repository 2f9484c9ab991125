package api

import "strings"

// maxName is the most bytes of a node's name; a host's has 253 at most.
const maxName = 255

// CheckName refuses what can not be a node's name: it stands in command lines, file names and tables, so it
// has letters, digits and . _ - : only, and does not begin with a dash. The error is [ErrInvalid].
func CheckName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:"
	if name == "" || len(name) > maxName || name[0] == '-' || strings.Trim(name, allowed) != "" {
		return Because(ErrInvalid, "%.80q can not be a node's name; it has letters, digits and . _ - : only, does not begin with -, and has %d bytes at most", name, maxName)
	}
	return nil
}
