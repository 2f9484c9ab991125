// Package control is the control connection: the one stream between a client and an executor
// manager that exists as long as a lease does, and the stream between a manager and each of its
// executors. It carries what the data path needs before it can run (addresses, memory keys,
// descriptors, libraries), and its end is how either side notices that the other has died.
//
// # Frames
//
// A frame is four bytes of big-endian length and that many bytes of JSON: a [Frame]. On a Unix
// socket a frame can carry open file descriptors. A frame whose Executor is not [Manager] is for,
// or from, that executor of the lease: the manager passes it on unread, descriptors and all, so
// that a client talks to an executor in the same way wherever it runs. A reply carries the Call
// number of its request; numbers belong to the one who asks.
//
//	client ── hello ─────────▶ manager                 client ◀── ended ── manager   (unasked)
//	client ◀─ welcome ──────── manager                 client ◀── replaced ─ manager (unasked)
//	client ── lease ─────────▶ manager ── start ──────▶ executors
//	client ◀─ content ──────── manager    (if it is on another host, and the node lacks its library)
//	client ── part, part ... ▶ manager
//	client ◀─ granted/failed ─ manager ◀─ started/failed ── executors
//	client ── open ──────────▶ (passed on) ───────────▶ executor k
//	client ◀─ opened/failed ── (passed on) ◀─────────── executor k
//	client ── map, unmap ────▶ (passed on) ───────────▶ executor k
//	client ◀─ mapped/failed ── (passed on) ◀─────────── executor k
//	client ── progress ──────▶ (passed on) ───────────▶ executor k
//	client ◀─ progress ─────── (passed on) ◀─────────── executor k
//	client ── kill ──────────▶ manager ── SIGKILL ────▶ executor k
//	client ── release ───────▶ manager ── kill ───────▶ executors
//	client ◀─ released ─────── manager
//	client ── pool ──────────▶ manager, which answers when its pool is full
//	client ◀─ pool ─────────── manager
//
// An executor of the pool has said ready before its start comes.
//
// Who dials another host makes the stream secure ([Secure]): this package knows no keys, since executors contain it.
// Between hosts ([Dial], [NewRemote]) no descriptors travel, and both ends send beats, so that a
// node or a network that has vanished is noticed within a second ([NetworkLimit]), and a peer that has
// stopped within [SilenceLimit].
//
// `sublet devices check` has two processes talk to each other through pipes ([NewPipes]), in the words of a
// client and an executor: open, map, and, at the end, tried.
//
// # Ownership
//
// Descriptors given to [Conn.Send] stay the caller's. Those that [Conn.Receive] returns belong to
// the caller, who closes them; they are close-on-exec.
//
// # Errors
//
// A frame above [MaxFrame], with too many descriptors, or that is not JSON ends the connection
// with a [*ProtocolError]. The end of the peer is io.EOF. Conn is safe for one receiver and any
// number of senders.
package control
