package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
)

// versionInfo is the JSON that `sublet version --output json` prints.
type versionInfo struct {
	Version string `json:"version"`
	// Protocol is the control protocol's version: programs of one number work together.
	Protocol int    `json:"protocol"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand() *command {
	return &command{
		name: "version", summary: "tell which Sublet this is",
		examples: []string{"sublet version", "sublet version --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			output := outputFlag(flags)
			return func(args []string, stdout, _ io.Writer) error {
				if err := noArguments("version", args); err != nil {
					return err
				}
				return writeVersion(stdout, *output, thisVersion())
			}
		},
	}
}

func thisVersion() versionInfo {
	info := versionInfo{
		Version: version.Version, Protocol: control.Protocol,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			info.Commit = setting.Value
		}
	}
	return info
}

func writeVersion(w io.Writer, output outputFormat, info versionInfo) error {
	switch output {
	case outputQuiet:
		_, err := fmt.Fprintln(w, info.Version)
		return err
	case outputJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(info)
	}
	rows := [][2]string{
		{"version", info.Version},
		{"protocol", fmt.Sprint(info.Protocol)},
		{"commit", info.Commit},
		{"go", info.Go},
		{"platform", info.Platform},
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-9s %s\n", row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}
