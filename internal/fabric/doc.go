// Package fabric is the data path: how a request gets from a rank to an executor and the response
// back, and the executor's hot loop in between. All the C of the data path is in this one package,
// because Go's build cache does not see a header that lies in another package's folder.
//
//	rank                                                     executor
//	Client.Submit ──▶ request line  ══ ring or libfabric ══▶ loop ──▶ f(args, size, res)
//	Client.Harvest ◀─ response line ◀═ ring or libfabric ══  loop ◀── bytes, or an error
//
// # Use
//
// A rank makes [Memory] for its buffers, and one [Client] per executor, on one of the transports:
// [NewRing] on one host, [ConnectOFI] over libfabric. An executor process makes one [Executor],
// loads a function library into it, maps regions, opens an [Endpoint] with [Executor.OpenRing] or
// [Executor.ListenOFI], and serves one client on it with [Executor.Serve]. How the two exchange
// descriptors, addresses and memory keys is the business of package control; this package never
// opens a path or a socket of its own except libfabric's.
//
// Each crossing from Go into C costs as much as a line takes from core to core. So what is to be submitted and
// harvested stands in memory that C knows, and [Client.SubmitAndHarvest] does both in one; [Client.Stream] fills
// the slots of many requests as they become free without coming back. On the ring, what rides in a header does not
// cross at all (ring_near.go).
//
// # Hot and warm
//
//	hot: spinning ── hot timeout without a request ──▶ warm: asleep ── a request, whose rank wakes it ──▶ hot
//
// On the ring and over shm an executor sleeps by futex on a flag in shared memory, and looks twice a second whether
// its rank is still there; a rank sleeps on its end of a pair of sockets (doorbell.h). Over other providers
// both sleep on libfabric's descriptors. Who is about to sleep says so, and then looks once more: so nothing
// is lost.
//
// # Over libfabric
//
// The executor can not map a session's regions, so it has a mirror of each: as much memory of its
// own, touched only where it is used. A payload of at most 32 bytes rides in a header, one of at
// most 64 KiB behind it, in one operation each way; a larger one is written between region and
// mirror, at the same offset, ahead of the header or, over shm, with it. Each connection has an
// endpoint, a domain and queues of its own, so that it can be revoked by itself.
//
//	executor: ListenOFI ── name ──▶ client: ConnectOFI ── nonce ──▶ executor: in Serve
//	client: Attach ── address, key ──▶ executor: Map ── mirror's ──▶ client: Attached, Push
//
// With ofi-send, for networks that do not keep the order of writes, headers and payloads up to 64
// KiB are messages into posted receives; the executor reads a larger input when its header has come,
// and writes a larger output, which has landed before its response is sent.
//
// Endpoints that do not connect (shm) meet by two messages instead, notice each other's death only
// if they sleep (the owner of the Client does, and calls Abandon), and where they have no descriptor
// to sleep on have Bells. What names them in /dev/shm is removed when they have met.
//
// Bytes move only while an end polls, in Submit, Harvest, Push, Arm, and between functions. For
// large payloads a thread of the executor polls while a function runs; a rank that computes needs
// somebody who sleeps on Descriptor.
//
// # Slots, ids, and order
//
// An executor runs one invocation at a time, in the order of submission. Ids are 64-bit and count
// from 1; invocation i uses slot i mod slots, so there is nothing to search on either side, and a
// slot is free again when its response is harvested.
//
//	free ── Submit ──▶ submitted ── the executor answers ──▶ answered ── Harvest ──▶ free
//
// # Who may call what
//
// A Client is used by one goroutine at a time; its owner holds a lock. (Different clients never
// share one.) Want, Unwant and Abandon are for the others. Memory may be used from anywhere. An
// Executor's regions are mapped while another goroutine is in Serve.
//
// # Faults
//
// Tests make a connection lose, delay, double, cut, change or break what passes: [Client.Inject]
// and [Endpoint.Inject], before the first invocation. A connection without faults does not pay for
// it. Inject is for nothing else: what bytes a fault has changed, nobody may believe.
//
// # Who owns which memory
//
// Whatever the NIC or another process may touch lies outside the Go heap, in Memory that its maker
// closes exactly once: [Usage] counts what is open. From Submit until the response is
// harvested, or until Close has returned, the executor may read the input and write the output.
// On the ring and over shm, Close alone need not stop an executor that lives: close the Client when the
// executor's pidfd has said that it has exited.
//
// # How much memory
//
// [Executor.SetMemory] bounds what an executor maps or mirrors, and what its functions allocate: regions
// beyond it are refused with [*MemoryLimit], allocations fail (limit.h). What the executor itself maps later
// moves that limit along.
//
// # Errors
//
// [ErrFull] and [ErrBroken] are sentinels; [*ProtocolError] says that an executor wrote what no
// executor of ours writes, after which its Client is broken; everything else is a plain error
// that says which step failed.
package fabric
