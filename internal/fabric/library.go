package fabric

// #include <stdlib.h>
// #include <string.h>
// #include "fabric.h"
import "C"

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// Function is one function of a library; requests name it by its place in the list.
type Function struct {
	Name string
	ABI  int // 1: rFaaS's, 2: that of sublet/function.h
}

const (
	// maxFunctions bounds the list of a library that exports all it has.
	maxFunctions = 8192
	// maxName is the longest name of a function.
	maxName = 127
	// descriptorPrefix marks the functions that are defined with SUBLET_FUNCTION.
	descriptorPrefix = "sublet_function_"
)

// Load opens a function library and returns its functions. It runs the library's constructors. content is
// a file to be opened instead of the one at path, which it only names then; Load takes it. nil: there is
// none.
func (e *Executor) Load(path string, content *os.File) ([]Function, error) {
	if e.library != nil {
		return nil, errors.New("fabric: an executor loads one function library")
	}
	file := path
	if content != nil {
		defer content.Close()
		file = fmt.Sprintf("/proc/self/fd/%d", content.Fd())
	}
	functions, err := exported(file)
	if err != nil {
		return nil, fmt.Errorf("function library %s: %w", path, err)
	}
	cPath := C.CString(file)
	defer C.free(unsafe.Pointer(cPath))
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	var handle unsafe.Pointer
	if e.memory > 0 {
		C.fabric_limit_loading(e.c)
	}
	opened := C.fabric_library_open(cPath, &handle, text)
	if e.memory > 0 {
		if taken := uint64(C.fabric_limit_loaded()); opened == C.FABRIC_OK && taken > e.memory {
			return nil, fmt.Errorf("function library %s has %s of variables, which is more than the executor's memory of %s; raise Want.Memory",
				path, bytesize.Format(int64(taken)), bytesize.Format(int64(e.memory)))
		}
	}
	if opened != C.FABRIC_OK && content != nil {
		return nil, fmt.Errorf("function library %s, as it was sent to this node, which has no such file, can not be loaded: %s; libraries that lie beside it are not sent: install them here, name their folder in LD_LIBRARY_PATH of Want.Environment, or put all on a file system that both nodes have",
			path, strings.ReplaceAll(C.GoString(text), file+": ", ""))
	}
	if opened != C.FABRIC_OK {
		return nil, fmt.Errorf("function library %s can not be loaded on this node: %s", path, C.GoString(text))
	}
	table := (*C.struct_fabric_function)(C.calloc(C.size_t(len(functions)), C.sizeof_struct_fabric_function))
	entries := unsafe.Slice(table, len(functions))
	for i, f := range functions {
		for j := range len(f.Name) {
			entries[i].name[j] = C.char(f.Name[j])
		}
		entries[i].abi = C.uint32_t(f.ABI)
		if C.fabric_library_resolve(handle, &entries[i], text) != C.FABRIC_OK {
			C.free(unsafe.Pointer(table))
			return nil, fmt.Errorf("function library %s: %s", path, C.GoString(text))
		}
	}
	e.library = handle
	e.c.functions = table
	e.c.function_count = C.uint32_t(len(functions))
	return functions, nil
}

// exported lists a library's functions, ours first, both kinds by name.
func exported(path string) ([]Function, error) {
	file, err := elf.Open(path)
	if err != nil {
		var format *elf.FormatError
		var pathError *fs.PathError
		switch {
		case errors.As(err, &format):
			return nil, fmt.Errorf("this is not an ELF shared library (%w)", err)
		case errors.As(err, &pathError):
			return nil, pathError.Err
		}
		return nil, fmt.Errorf("this is not an ELF shared library (%w)", err)
	}
	defer file.Close()
	if file.Type != elf.ET_DYN {
		return nil, fmt.Errorf("this is not a shared library but %s; link it with -shared", file.Type)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("its symbols can not be read: %w", err)
	}
	ours := map[string]bool{}
	var plain []string
	for _, symbol := range symbols {
		visible := elf.ST_VISIBILITY(symbol.Other) == elf.STV_DEFAULT || elf.ST_VISIBILITY(symbol.Other) == elf.STV_PROTECTED
		if symbol.Section == elf.SHN_UNDEF || elf.ST_BIND(symbol.Info) == elf.STB_LOCAL || !visible {
			continue
		}
		name, marked := strings.CutPrefix(symbol.Name, descriptorPrefix)
		switch kind := elf.ST_TYPE(symbol.Info); {
		case len(name) > maxName || name == "":
		case kind == elf.STT_OBJECT && marked:
			ours[name] = true
		case (kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC) && symbol.Name != "_init" && symbol.Name != "_fini":
			plain = append(plain, symbol.Name)
		}
	}
	functions := make([]Function, 0, len(ours)+len(plain))
	for name := range ours {
		if !slices.Contains(plain, name) {
			return nil, fmt.Errorf("it exports %s%s, but no function %s; is the function hidden, or renamed by a macro?", descriptorPrefix, name, name)
		}
		functions = append(functions, Function{Name: name, ABI: 2})
	}
	for _, name := range plain {
		if !ours[name] {
			functions = append(functions, Function{Name: name, ABI: 1})
		}
	}
	if len(functions) == 0 {
		return nil, errors.New("it exports no function")
	}
	sort.Slice(functions, func(i, j int) bool {
		if a, b := functions[i], functions[j]; a.ABI != b.ABI {
			return a.ABI > b.ABI
		}
		return functions[i].Name < functions[j].Name
	})
	return functions[:min(len(functions), maxFunctions)], nil
}
