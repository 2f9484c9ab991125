package fabric

// #include "fabric.h"
import "C"

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"
)

// Loop is what an executor's loop does, for a report of why it does not answer.
type Loop struct {
	Doing  string        // what it does, in words
	Sleeps int           // how often it has gone to sleep
	Ran    time.Duration // on a core
	Waited time.Duration // for a core, ready to run; both 0 where the kernel does not count them
}

func (l Loop) String() string {
	text := fmt.Sprintf("its loop %s, has slept %d times", l.Doing, l.Sleeps)
	if l.Ran > 0 {
		text += fmt.Sprintf(", run for %v and waited for its core for %v", l.Ran.Round(time.Microsecond), l.Waited.Round(time.Microsecond))
	}
	return text
}

var doings = map[C.uint32_t]string{
	C.STATE_STARTING: "has not begun",
	C.STATE_HOT:      "looks for requests",
	C.STATE_WARM:     "sleeps until one comes",
	C.STATE_RUNNING:  "runs a function",
	C.STATE_ENDED:    "has ended",
}

// Loop may be called beside Serve, which it does not disturb.
func (e *Executor) Loop() Loop {
	state := C.uint32_t(atomic.LoadUint32((*uint32)(unsafe.Pointer(&e.c.page.state))))
	l := Loop{Doing: doings[state], Sleeps: int(atomic.LoadUint32((*uint32)(unsafe.Pointer(&e.c.sleeps))))}
	thread := atomic.LoadUint32((*uint32)(unsafe.Pointer(&e.c.thread)))
	// A thread that is running or waiting just now is not counted up to now by every kernel.
	if text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", thread)); err == nil {
		_, _ = fmt.Sscan(string(text), &l.Ran, &l.Waited) // of a form that we do not know: not counted
	}
	return l
}
