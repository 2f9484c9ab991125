package api

import (
	"os"
	"strings"
)

// DefaultAccount is who pays where nobody says.
const DefaultAccount = "default"

// AccountVariable names the account of leases in the environment.
const AccountVariable = "SUBLET_ACCOUNT"

// maxAccount is the most bytes of an account's name.
const maxAccount = 64

// Account is who pays for leases of this process: SUBLET_ACCOUNT, else Slurm's account of the job, else
// DefaultAccount.
func Account() string {
	for _, name := range []string{AccountVariable, "SLURM_JOB_ACCOUNT"} {
		if account := os.Getenv(name); account != "" {
			return account
		}
	}
	return DefaultAccount
}

// CheckAccount refuses what can not be an account's name: it stands in tables, files and metrics, so it has
// letters, digits and . _ - : @ + only, and does not begin with a dash. The error is [ErrInvalid].
func CheckAccount(account string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+"
	if account == "" || len(account) > maxAccount || account[0] == '-' || strings.Trim(account, allowed) != "" {
		return Because(ErrInvalid, "%.80q can not be the name of an account; it has letters, digits and . _ - : @ + only, does not begin with -, and has %d bytes at most (%s, or Want.Account)", account, maxAccount, AccountVariable)
	}
	return nil
}
