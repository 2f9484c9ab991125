package config

import (
	"encoding/json"
	"os"
	"testing"
)

// fuzz feeds a parser with what is like its template: it must neither panic nor take what is no JSON,
// and whoever is told of a mistake is told a line of the file.
func fuzz(f *testing.F, name string) {
	template, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(template)
	f.Add([]byte(fill.Replace(string(template))))
	f.Add([]byte(`{"config": {}, "executor": {"pin_threads": [0, 1]}, "benchmark": {}, "devices": [{}], "executors": [{}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := parsers[name](name, content)
		if err == nil && !json.Valid(content) {
			t.Error("it is no JSON, and was read")
		}
		lines := 1
		for _, c := range content {
			if c == '\n' {
				lines++
			}
		}
		for _, line := range linesOf(err) {
			if line < 1 || line > lines {
				t.Errorf("a mistake on line %d of %d: %v", line, lines, err)
			}
		}
	})
}

func FuzzDevices(f *testing.F)         { fuzz(f, "devices.json") }
func FuzzResourceManager(f *testing.F) { fuzz(f, "resource_manager.json") }
func FuzzExecutorManager(f *testing.F) { fuzz(f, "executor_manager.json") }
func FuzzExecutors(f *testing.F)       { fuzz(f, "executors_database.json") }
func FuzzBenchmark(f *testing.F)       { fuzz(f, "benchmark.json") }
