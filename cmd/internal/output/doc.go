// Package output has what --output means to all of Sublet's commands.
package output
