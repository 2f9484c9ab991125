package offload

import (
	"fmt"
	"reflect"
	"unsafe"
)

// holdsNoPointers refuses types that mean nothing in another process.
func holdsNoPointers[T any]() error {
	if t := reflect.TypeFor[T](); !plain(t) {
		return fmt.Errorf("offload: %v holds pointers, which mean nothing to an executor; use numbers, or arrays and structs of them", t)
	}
	return nil
}

func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

// Bytes views a slice of numbers as bytes, for Session.Constant. It copies nothing.
func Bytes[T any](values []T) []byte {
	if err := holdsNoPointers[T](); err != nil {
		panic(err)
	}
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}
