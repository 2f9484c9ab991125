package slurm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxHosts is the most names that a hostlist may stand for: as many as Slurm has nodes at most.
const MaxHosts = 1 << 16

// maxDigits is the most digits of a number in a name.
const maxDigits = 18

// Expand returns the names that a hostlist stands for, in its order.
func Expand(list string) ([]string, error) {
	var names []string
	rest := list
	for {
		var word string
		var more bool
		var err error
		if word, rest, more, err = cutWord(rest); err == nil {
			names, err = expandWord(names, word)
		}
		if err != nil {
			return nil, fmt.Errorf("hostlist %s: %w", shown(list), err)
		}
		if !more {
			return names, nil
		}
	}
}

// shown is a list as an error quotes it.
func shown(list string) string {
	const most = 80
	if len(list) > most {
		return strconv.Quote(list[:most]) + "..."
	}
	return strconv.Quote(list)
}

// cutWord splits a list at its first comma outside brackets.
func cutWord(list string) (word, rest string, more bool, err error) {
	inside := false
	for i, c := range []byte(list) {
		switch {
		case c == '[' && inside:
			return "", "", false, errors.New("a bracket within brackets")
		case c == ']' && !inside:
			return "", "", false, errors.New("a ] without its [")
		case c == '[' || c == ']':
			inside = c == '['
		case c == ',' && !inside:
			return list[:i], list[i+1:], true, nil
		}
	}
	if inside {
		return "", "", false, errors.New("a [ without its ]; quote the list, or the shell reads the brackets")
	}
	return list, "", false, nil
}

// expandWord appends the names that one word, whose brackets match, stands for.
func expandWord(names []string, word string) ([]string, error) {
	if word == "" {
		return nil, errors.New("an empty name")
	}
	made := []string{""}
	for word != "" {
		text, after, bracket := strings.Cut(word, "[")
		if err := checkLength(len(made[0]) + len(text)); err != nil { // before it is there many times
			return nil, err
		}
		for i := range made {
			made[i] += text
		}
		if !bracket {
			break
		}
		var ranges string
		ranges, word, _ = strings.Cut(after, "]")
		numbers, err := expandRanges(ranges, MaxHosts/len(made))
		if err != nil {
			return nil, err
		}
		longer := make([]string, 0, len(made)*len(numbers))
		for _, name := range made {
			for _, number := range numbers {
				longer = append(longer, name+number)
			}
		}
		made = longer
	}
	if len(names)+len(made) > MaxHosts {
		return nil, tooMany()
	}
	for _, name := range made {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	return append(names, made...), nil
}

func tooMany() error { return fmt.Errorf("it stands for more than %d hosts", MaxHosts) }

// expandRanges are the numbers of 1-3,08: at most that many.
func expandRanges(ranges string, most int) ([]string, error) {
	var numbers []string
	for part := range strings.SplitSeq(ranges, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := parseNumber(from)
		if err != nil {
			return nil, fmt.Errorf("[%s]: %w", ranges, err)
		}
		last := first
		if isRange {
			if last, err = parseNumber(to); err != nil {
				return nil, fmt.Errorf("[%s]: %w", ranges, err)
			}
		}
		if last < first {
			return nil, fmt.Errorf("[%s]: the range %s runs backwards", ranges, part)
		}
		if last-first >= uint64(most-len(numbers)) {
			return nil, tooMany()
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, pad(n, len(from)))
		}
	}
	return numbers, nil
}

func parseNumber(text string) (uint64, error) {
	if text == "" || len(text) > maxDigits || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number of at most %d digits", text, maxDigits)
	}
	return strconv.ParseUint(text, 10, 64)
}

func pad(n uint64, width int) string {
	digits := strconv.FormatUint(n, 10)
	return strings.Repeat("0", max(width-len(digits), 0)) + digits
}

// maxName is the most bytes of a host's name in the DNS.
const maxName = 253

func checkLength(length int) error {
	if length > maxName {
		return fmt.Errorf("a name of %d characters; hosts have at most %d", length, maxName)
	}
	return nil
}

func checkName(name string) error {
	if err := checkLength(len(name)); err != nil {
		return err
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '_' && c != '.' && (c != '-' || i == 0) {
			return fmt.Errorf("the name %q has a %q, which the name of a host can not have there", name, c)
		}
	}
	return nil
}

// Fold writes names, in their order, as a hostlist: the shortest that ranges of numbers at their ends
// make of it. Expand makes the names of it again.
func Fold(names []string) string {
	var words []string
	for i := 0; i < len(names); {
		prefix, digits := cutNumber(names[i])
		ranges, n := foldRanges(prefix, names[i:])
		i += n
		switch {
		case digits == "":
			words = append(words, prefix)
		case n == 1:
			words = append(words, prefix+digits)
		default:
			words = append(words, prefix+"["+ranges+"]")
		}
	}
	return strings.Join(words, ",")
}

// foldRanges folds the numbers of the names at the beginning that differ from the prefix by nothing
// else, and says how many names these are, at least one.
func foldRanges(prefix string, names []string) (ranges string, n int) {
	var parts []string
	for n < len(names) {
		other, from := cutNumber(names[n])
		if other != prefix || from == "" {
			break
		}
		first, _ := parseNumber(from) // cutNumber has seen that it is one
		last := first
		for n++; n < len(names); n++ {
			if other, next := cutNumber(names[n]); other != prefix || next != pad(last+1, len(from)) {
				break
			}
			last++
		}
		part := from
		if last > first {
			part += "-" + pad(last, len(from))
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ","), max(n, 1)
}

// cutNumber splits a name from the number at its end, if it has one that Expand would read.
func cutNumber(name string) (prefix, digits string) {
	prefix = strings.TrimRight(name, "0123456789")
	digits = name[len(prefix):]
	if digits == "" || len(digits) > maxDigits || strings.Trim(digits[:len(digits)-1], "9") == "" && len(digits) == maxDigits {
		return name, ""
	}
	return prefix, digits
}
