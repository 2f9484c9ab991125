package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// impure are packages, and functions of packages, that give another answer, or do another thing,
// the second time.
var impure = map[string][]string{
	"crypto/rand":           nil, // nil: whatever is in it
	"log":                   nil,
	"log/slog":              nil,
	"math/rand":             nil,
	"math/rand/v2":          nil,
	"net":                   nil,
	"net/http":              nil,
	"os":                    nil,
	"os/exec":               nil,
	"runtime":               nil,
	"syscall":               nil,
	"golang.org/x/sys/unix": nil,
	"fmt":                   {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"time":                  {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
}

// The ledger is replayed from a log, on one machine after another: the same commands must give
// the same state.
func TestLedgerIsPure(t *testing.T) {
	checked := 0
	for _, p := range listPackages(t) {
		if !matches("resources/ledger", p.ImportPath) {
			continue
		}
		for _, name := range p.GoFiles {
			checked++
			for _, violation := range impurities(t, filepath.Join(p.Dir, name), nil) {
				t.Errorf("%s; it has to come in as an argument of Apply", violation)
			}
		}
	}
	if checked == 0 {
		t.Error("resources/ledger has no files")
	}
}

// What a harvester decides is tried on random clusters and in virtual time.
func TestHarvestDecidesPurely(t *testing.T) {
	for _, name := range []string{"decide.go", "observe.go", "policy.go", "snapshot.go", "state.go", "verdict.go", "wants.go"} {
		for _, violation := range impurities(t, filepath.Join(root, "launcher", "harvest", name), nil) {
			t.Errorf("launcher/harvest/%s; it has to come in as an argument of Decide", violation)
		}
	}
}

// impurities are the impure imports, calls and go statements of a file.
func impurities(t *testing.T, path string, source any) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	report := func(node ast.Node, what string) {
		position := files.Position(node.Pos())
		found = append(found, fmt.Sprintf("%s:%d: %s", filepath.Base(position.Filename), position.Line, what))
	}
	imported := map[string]string{} // import paths by the names they have in this file
	for _, spec := range file.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		functions, listed := impure[importPath]
		if listed && (functions == nil || spec.Name != nil && spec.Name.Name == ".") {
			report(spec, "imports "+importPath)
		}
		name := filepath.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = importPath
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			report(node, "starts a goroutine")
		case *ast.SelectorExpr:
			name, ok := node.X.(*ast.Ident)
			if !ok {
				break
			}
			for _, function := range impure[imported[name.Name]] {
				if node.Sel.Name == function {
					report(node, "uses "+imported[name.Name]+"."+function)
				}
			}
		}
		return true
	})
	return found
}

func TestImpuritiesAreFound(t *testing.T) {
	const source = `package p
import ("math/rand/v2"; clock "time"; "fmt")
var d = clock.Second
func f() { go f(); g := clock.Now; fmt.Println(rand.Int(), g, fmt.Sprint()) }
`
	want := []string{
		"x.go:2: imports math/rand/v2",
		"x.go:4: starts a goroutine",
		"x.go:4: uses time.Now",
		"x.go:4: uses fmt.Println",
	}
	if diff := cmp.Diff(want, impurities(t, "x.go", source)); diff != "" {
		t.Errorf("impurities (-want +got):\n%s", diff)
	}
}

// gompi's Start(false) starts MPI for one thread only, and whatever thread calls it.
func TestMPIStartsThreaded(t *testing.T) {
	started := 0
	for _, p := range listPackages(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				function, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || function.Sel.Name != "Start" {
					return true
				}
				if name, ok := function.X.(*ast.Ident); !ok || name.Name != "mpi" {
					return true
				}
				started++
				if argument, ok := call.Args[0].(*ast.Ident); !ok || argument.Name != "true" {
					t.Errorf("%s: mpi.Start must be called with true", files.Position(call.Pos()))
				}
				return true
			})
		}
	}
	if started == 0 {
		t.Error("nothing calls mpi.Start")
	}
}
