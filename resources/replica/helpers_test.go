package replica

import (
	"reflect"
	"strings"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// contains tells whether an error says all that.
func contains(err error, texts ...string) bool {
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			return false
		}
	}
	return true
}

func typeOf(command ledger.Command) reflect.Type { return reflect.TypeOf(command) }
