package commandline

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// Reason is an error of pflag's without the names of functions of Go's: where a value was to be a number, or true or
// false, it says that. Other errors are returned as they are.
func Reason(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	cause, is := invalid.Unwrap().(*strconv.NumError) //nolint:errorlint // one inside another error has words around it
	if !is {
		return err
	}
	why := "it is no whole number"
	switch {
	case errors.Is(cause, strconv.ErrRange):
		why = "it is out of range"
	case cause.Func == "ParseBool":
		why = "it is neither true nor false"
	case cause.Func == "ParseFloat":
		why = "it is no number"
	}
	return fmt.Errorf("--%s %s: %s", invalid.GetFlag().Name, invalid.GetValue(), why)
}
