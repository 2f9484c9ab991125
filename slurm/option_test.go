package slurm

import "testing"

func TestOptions(t *testing.T) {
	array := Option{Long: "array", Short: 'a'}
	for word, is := range map[string]bool{
		"--array": true, "--array=1-3": true, "--arr=1-3": true, "-a": true, "-a1-3": true, "-Ha1": true,
		"--account=a": false, "--arrays": false, "--": false, "-": false, "a": false, "": false, "-Aa": false, "-A": false, "-pa": false,
	} {
		if array.Is(word) != is {
			t.Errorf("%q: %v", word, !is)
		}
	}
	if (Option{Long: "comment"}).Is("-c") || !(Option{Long: "comment"}).Is("--comment=x") {
		t.Error("an option that has no letter")
	}
}
