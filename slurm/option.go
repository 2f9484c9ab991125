package slurm

import "strings"

// Option is one of sbatch's.
type Option struct {
	Long  string // without its hyphens
	Short byte   // 0: it has none
}

// Is tells whether a word of sbatch's command line is this option, with or without its value, in any of the ways in which sbatch
// reads it: --array=1-3, --arr, -a1-3, -Ha. An abbreviation that may be of another option counts: sbatch refuses it.
func (o Option) Is(word string) bool {
	if long, is := strings.CutPrefix(word, "--"); is {
		name, _, _ := strings.Cut(long, "=")
		return name != "" && strings.HasPrefix(o.Long, name)
	}
	letters, is := strings.CutPrefix(word, "-")
	if !is || o.Short == 0 {
		return false
	}
	const withoutValue = "HIQOVWhksv"
	for i := range len(letters) {
		if letters[i] == o.Short {
			return true
		}
		if !strings.Contains(withoutValue, letters[i:i+1]) {
			return false // what is behind is its value
		}
	}
	return false
}
