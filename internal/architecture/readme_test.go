package architecture

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	goBlock  = regexp.MustCompile("(?s)```go\n(.*?)```")
	assigned = regexp.MustCompile(`(?m)^([\w, ]+) :=`)
)

// The README's example compiles against the packages as they are.
func TestReadmeCompiles(t *testing.T) {
	blocks := goBlock.FindAllStringSubmatch(read(t, root+"/README.md"), -1)
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d blocks of Go, not 1", len(blocks))
	}
	var program strings.Builder
	program.WriteString("package main\n\nimport (\n\t\"context\"\n\n\t\"" + module + "/offload\"\n)\n\n" +
		"func local([]float64) {}\n\nfunc example(ctx context.Context, n int, mine []float64) {\n")
	program.WriteString(blocks[0][1])
	for _, match := range assigned.FindAllStringSubmatch(blocks[0][1], -1) {
		for name := range strings.SplitSeq(match[1], ", ") {
			program.WriteString("_ = " + name + "\n") // what an example leaves out
		}
	}
	program.WriteString("}\n\nfunc main() {}\n")

	folder := t.TempDir()
	source := filepath.Join(folder, "main.go")
	write(t, source, program.String())
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(top, "readme", "main.go"): source}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "overlay.json"), string(overlay))
	command := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", filepath.Join(folder, "overlay.json"),
		"-o", filepath.Join(folder, "example"), "./readme")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("the example in README.md does not compile: %v\n%s", err, out)
	}
}
