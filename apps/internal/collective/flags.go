package collective

/*
#cgo linux,amd64 CFLAGS: -I/usr/lib/x86_64-linux-gnu/openmpi/include/openmpi -I/usr/lib/x86_64-linux-gnu/openmpi/include -pthread
#cgo linux,amd64 LDFLAGS: -pthread -L/usr/lib/x86_64-linux-gnu/openmpi/lib -lmpi
#cgo linux,arm64 CFLAGS: -I/usr/lib/aarch64-linux-gnu/openmpi/include/openmpi -I/usr/lib/aarch64-linux-gnu/openmpi/include -pthread
#cgo linux,arm64 LDFLAGS: -pthread -L/usr/lib/aarch64-linux-gnu/openmpi/lib -lmpi
*/
import "C"
