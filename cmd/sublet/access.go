package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/resources/api"
)

func accessCommand() *command {
	return &command{
		name: "access", synopsis: "[DIRECTORY]", summary: "show how the resource manager is reached, or hand out the right to",
		details: `
Without a directory it shows what access.json of the run directory says: the address, the pin of the
key with which the resource manager answers there, and of which roles there are tokens. It shows no token.

With a directory and --role it makes access.json there, with the token of that role alone, for you
alone to read. Copy that directory to where a program, an executor manager or a script is to have no
more rights than that, and name it with SUBLET_DIR.

  admin     may ask for everything
  manager   registers a node, reports on it and deregisters it: for executor managers
  client    asks for leases, renews and releases them, and reads: for programs and monitoring
  batch     adds and takes out nodes by rFaaS's /add and /remove, which are not encrypted

Such a file holds as long as the keys beside the ledger, also when the resource manager is started again, if it
is at the same address (--listen with a port).

--output json prints one object: url, pin, host, pid, roles, and file, which was made. --output quiet
prints the file that was made, else the url.`,
		examples: []string{
			"sublet access",
			"sublet access --role client ~/for-my-laptop",
			"curl --insecure --pinnedpubkey \"$(sublet access -o json | jq -r .pin)\" ...",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			role := flags.String("role", "", "whose `ROLE`'s token to hand out: admin, manager, client or batch")
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) > 1 {
					return usagef("access: one directory, not %d; see: sublet help access", len(args))
				}
				if (len(args) == 1) != (*role != "") {
					return usagef("access: --role and a directory go together: sublet access --role client DIRECTORY")
				}
				if len(args) == 0 {
					return showAccess(*dir, *format, stdout)
				}
				return handOut(*dir, *role, args[0], *format, stdout)
			}
		},
	}
}

// accessRecord is what is printed. It has no token.
type accessRecord struct {
	URL   string     `json:"url"`
	Pin   api.Pin    `json:"pin"`
	Host  string     `json:"host"`
	PID   int        `json:"pid"`
	Roles []api.Role `json:"roles"`
	File  string     `json:"file,omitempty"`
}

func recordOf(access api.AccessFile, file string) accessRecord {
	return accessRecord{URL: access.URL, Pin: access.Pin, Host: access.Host, PID: access.PID, Roles: access.Tokens.Roles(), File: file}
}

// readAccess reads that of the run directory that is named, or meant.
func readAccess(dir string) (access api.AccessFile, _ string, err error) {
	if dir == "" {
		if dir, err = api.Directory(); err != nil {
			return access, "", err
		}
	}
	access, err = api.ReadAccess(dir)
	return access, dir, err
}

func showAccess(dir string, format outputFormat, stdout io.Writer) error {
	access, _, err := readAccess(dir)
	if err != nil {
		return err
	}
	return writeAccessRecord(recordOf(access, ""), format, stdout)
}

// handOut makes an access file with the token of one role.
func handOut(dir, named, target string, format outputFormat, stdout io.Writer) error {
	role, err := api.ParseRole(named)
	if err != nil {
		return usagef("access: --role: %v", err)
	}
	access, from, err := readAccess(dir)
	if err != nil {
		return err
	}
	if access.Tokens.Of(role) == "" {
		return fmt.Errorf("access.json of %s has no token of role %s; it has: %s", from, role, rolesText(access.Tokens.Roles()))
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return fmt.Errorf("handing out access: %w", err)
	}
	if sameFile(from, target) {
		return usagef("access: %s is the run directory itself, and keeps all its tokens; name another directory", target)
	}
	if _, err := os.Lstat(filepath.Join(target, "lock")); err == nil {
		return usagef("access: %s is the run directory of another resource manager, whose access.json would be lost; name another directory", target)
	}
	access.Tokens = access.Tokens.Only(role)
	if err := api.WriteAccess(target, access); err != nil {
		return err
	}
	return writeAccessRecord(recordOf(access, filepath.Join(target, "access.json")), format, stdout)
}

func rolesText(roles []api.Role) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

func writeAccessRecord(record accessRecord, format outputFormat, stdout io.Writer) error {
	switch format {
	case outputJSON:
		return output.WriteJSON(stdout, record)
	case outputQuiet:
		line := record.URL
		if record.File != "" {
			line = record.File
		}
		_, err := fmt.Fprintln(stdout, line)
		return err
	}
	return writeRows(stdout, [][2]string{
		{"resource manager", fmt.Sprintf("%s, process %d on %s", record.URL, record.PID, record.Host)},
		{"pin", string(record.Pin)},
		{"roles", rolesText(record.Roles)},
		{"written", record.File},
	})
}
