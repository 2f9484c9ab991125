package control

import "time"

// Protocol is the version of this package's messages. Both ends of a connection must have the
// same one; hello and welcome carry it.
const Protocol = 6

// Manager is the Executor of frames that are for, or from, the executor manager itself.
const Manager = -1

// Types of frames; each names the body that it carries.
const (
	TypeHello    = "hello"    // Hello
	TypeWelcome  = "welcome"  // Welcome
	TypeProve    = "prove"    // Prove: a client on another host, to a manager without a resource manager
	TypeProved   = "proved"   // Proved
	TypeLease    = "lease"    // LeaseRequest; on the same host one descriptor: the client's standard error
	TypeGranted  = "granted"  // Granted; on the same host one pidfd per executor
	TypeFailed   = "failed"   // Failed: the reply to a request that could not be met
	TypeReady    = "ready"    // no body: a spare executor waits for its start
	TypeStart    = "start"    // Start; up to two descriptors
	TypeStarted  = "started"  // Started
	TypeOpen     = "open"     // Open; ring: slots, the executor's end of the doorbell
	TypeOpened   = "opened"   // Opened
	TypeMap      = "map"      // Map; ring: the region's memfd
	TypeMapped   = "mapped"   // Mapped
	TypeUnmap    = "unmap"    // Unmap
	TypeUnmapped = "unmapped" // Unmap
	TypeProgress = "progress" // no body; answered by one with a Progress
	TypeEnded    = "ended"    // Ended
	TypeReplaced = "replaced" // Executor; on the same host one pidfd
	TypeKill     = "kill"     // Kill; no reply but the ended that follows
	TypeRelease  = "release"  // no body
	TypeReleased = "released" // no body
	TypeContent  = "content"  // Content: the manager wants the function library; it comes in parts
	TypePart     = "part"     // ContentPart
	TypePool     = "pool"     // Pool, the state that is waited for; answered by a Pool
	TypeTried    = "tried"    // devices.Trial: between the processes of sublet devices check only
	TypeDrain    = "drain"    // Drain: the manager is about to end; the client is to send nothing more, and to go when all is answered
	TypeLeaving  = "leaving"  // no body: the manager was told to end; the connection's end follows
	TypeOver     = "over"     // Over: the manager has ended the lease
	TypeBeat     = "beat"     // no body: between hosts; Receive keeps it to itself
)

// Hello opens a connection.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	// PID is the client's, Launcher its parent's (mpirun's daemon on this node): the manager
	// finds the job's other ranks, and the cores they are bound to, among Launcher's children.
	PID      int `json:"pid"`
	Launcher int `json:"launcher"`
	// LocalRanks is how many ranks of the job run on this node, 0 where nobody says.
	LocalRanks int `json:"local_ranks"`
	// Boot is that of the client's kernel: a manager of the same one says by which socket it is reached.
	Boot string `json:"boot,omitempty"`
	// Nonce is what a manager without a resource manager proves itself with to a client on another host.
	Nonce []byte `json:"nonce,omitempty"`
}

// Welcome answers Hello.
type Welcome struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	Node     string `json:"node"`
	// Cores is how many cores this manager can lend at all. Clients on other hosts are not told: nobody knows
	// yet who they are.
	Cores int `json:"cores,omitempty"`
	// Challenge is what a client proves itself with that needs a ticket, or is on another host.
	Challenge []byte `json:"challenge,omitempty"`
	// What follows comes from a manager without a resource manager alone. Free is how many of its cores
	// nobody has, for clients on the same host.
	Free int `json:"free,omitempty"`
	// Socket and PID are where a client on the same host finds it: the name of an abstract Unix socket,
	// and the process that has it.
	Socket string `json:"socket,omitempty"`
	PID    int    `json:"pid,omitempty"`
	// Proof is how it proves itself to a client on another host.
	Proof []byte `json:"proof,omitempty"`
}

// Prove shows that a client on another host knows the manager's token (Welcome.Challenge).
type Prove struct {
	Proof []byte `json:"proof"`
}

// Proved answers Prove: the client may ask for a lease. Cores and Free are as in Welcome.
type Proved struct {
	Cores int `json:"cores"`
	Free  int `json:"free"`
}

// LeaseRequest asks for executors. A connection holds at most one lease.
type LeaseRequest struct {
	Executors int `json:"executors"`
	// CoresPerExecutor is how many cores each has to itself; 0: one. With a ticket, what that says.
	CoresPerExecutor int `json:"cores_per_executor,omitempty"`
	// Library is the absolute path of the function library.
	Library string `json:"library"`
	// HotTimeout: negative: spin always; 0: never; else sleep after this long without a request.
	HotTimeout time.Duration `json:"hot_timeout"`
	// Oversubscribe grants executors that share cores with ranks or each other when there are
	// no free cores left, instead of failing with CodeNoCapacity. It is not for executors of several cores.
	Oversubscribe bool `json:"oversubscribe,omitempty"`
	// Environment are NAME=VALUE pairs for the executors' functions.
	Environment []string `json:"environment,omitempty"`
	// StackSize of the thread that runs the functions, in bytes; 0: 64 MiB.
	StackSize int64 `json:"stack_size,omitempty"`
	// Memory of each executor in bytes; 0: its cores' share of the node's. With a ticket, what that says.
	Memory int64 `json:"memory,omitempty"`
	// Ticket is the resource manager's, where there is one: what it has granted on this node.
	Ticket string `json:"ticket,omitempty"`
	// Proof answers Welcome.Challenge: that the ticket is the client's own.
	Proof []byte `json:"proof,omitempty"`
	// TimeLimit is after which time the manager ends the lease; 0: never. With a ticket, what that says.
	TimeLimit time.Duration `json:"time_limit,omitempty"`
	// Wait is how long to wait for cores that are lent to others. With a ticket there is no need.
	Wait time.Duration `json:"wait,omitempty"`
	// Content is what the client's own file Library has, if the client is on another host and has one.
	// Where the path is another file on the node, or none, the manager asks for it.
	Content *Content `json:"content,omitempty"`
	// Libfabric says that the executors will be reached over it: they load it ahead.
	Libfabric bool `json:"libfabric,omitempty"`
}

// Content is a file's.
type Content struct {
	Hash string `json:"hash"` // SHA-256, in hexadecimal
	Size int64  `json:"size"` // bytes
}

// MaxPart is the most bytes of a part: as JSON they must fit into a frame.
const MaxPart = 512 << 10

// ContentPart is a part of a function library on its way to a manager. Parts come in order.
type ContentPart struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data,omitempty"`
	// Problem is why there will be no more of them.
	Problem string `json:"problem,omitempty"`
}

// Granted answers LeaseRequest.
type Granted struct {
	Lease     string     `json:"lease"`
	Node      string     `json:"node"`
	Executors []Executor `json:"executors"`
	Functions []Function `json:"functions"`
}

// Executor is one executor of a lease.
type Executor struct {
	Index int `json:"index"`
	PID   int `json:"pid"`
	// Core is the one that it is pinned to, of several the lowest, -1 for none; More are the others.
	Core           int   `json:"core"`
	More           []int `json:"more_cores,omitempty"`
	Oversubscribed bool  `json:"oversubscribed,omitempty"`
	// Memory that it may use, in bytes.
	Memory int64 `json:"memory,omitempty"`
}

// Function is one function of a library; requests name it by its index in the list.
type Function struct {
	Name string `json:"name"`
	ABI  int    `json:"abi"`
}

// Start tells a fresh executor what it is for. It comes once, first.
type Start struct {
	Lease      string        `json:"lease"`
	Index      int           `json:"index"`
	Library    string        `json:"library"`
	HotTimeout time.Duration `json:"hot_timeout"`
	StackSize  int64         `json:"stack_size,omitempty"`
	// Memory that it may use, in bytes; 0: as much as there is.
	Memory int64 `json:"memory,omitempty"`
	// Libfabric is to be loaded, once the library is.
	Libfabric bool `json:"libfabric,omitempty"`
	// Output and Content say that descriptors come with the frame, in this order: where functions print
	// to, for a spare; and the library, which Library then only names.
	Output  bool `json:"output,omitempty"`
	Content bool `json:"content,omitempty"`
	// Environment and CPUs are for a spare, which was started without them: NAME=VALUE pairs that it
	// is to set, and where all of its threads are to run.
	Environment []string `json:"environment,omitempty"`
	CPUs        []int    `json:"cpus,omitempty"`
}

// Started answers Start: the library is loaded.
type Started struct {
	Functions []Function `json:"functions"`
}

// Open asks an executor to meet the client on a transport.
type Open struct {
	Wire      int    `json:"wire"` // fabric's wire version
	Transport string `json:"transport"`
	Slots     int    `json:"slots"`
	// Provider and Address: libfabric only: which provider to listen on, and the local
	// network address to listen at.
	Provider string `json:"provider,omitempty"`
	Address  string `json:"address,omitempty"`
	// Nonce is what the client will prove itself with when it connects.
	Nonce []byte `json:"nonce,omitempty"`
}

// Opened answers Open.
type Opened struct {
	Wire int `json:"wire"`
	// Name is the address that the executor listens at, as libfabric names it.
	Name []byte `json:"name,omitempty"`
}

// Map gives an executor a region of the session.
type Map struct {
	Region uint32 `json:"region"`
	Size   uint64 `json:"size"`
	// ReadOnly: a constant.
	ReadOnly bool `json:"read_only,omitempty"`
	// Address and Key: libfabric only: where the executor writes outputs to.
	Address uint64 `json:"address,omitempty"`
	Key     uint64 `json:"key,omitempty"`
}

// Mapped answers Map.
type Mapped struct {
	Region uint32 `json:"region"`
	// Address and Key: libfabric only: of the executor's mirror of the region.
	Address uint64 `json:"address,omitempty"`
	Key     uint64 `json:"key,omitempty"`
}

// Unmap takes a region back; no invocation that names it may be in flight.
type Unmap struct {
	Region uint32 `json:"region"`
}

// Progress is how far an executor is with the invocations of its client. It is answered beside the
// loop: also while a function runs.
type Progress struct {
	// Begun is the id of the last invocation that it has begun, 0 for none.
	Begun uint64 `json:"begun"`
	// Running: that one's function has not returned yet.
	Running bool `json:"running"`
	// Loop says in words what its loop does.
	Loop string `json:"loop,omitempty"`
}

// Ended says that an executor of the lease is gone although nobody asked for it.
type Ended struct {
	Executor int `json:"executor"`
	// Signal that ended it, 0 if it exited; ExitCode then.
	Signal   int `json:"signal,omitempty"`
	ExitCode int `json:"exit_code,omitempty"`
	// Function that ran, empty if none did; ExitCalled: it called exit.
	Function   string `json:"function,omitempty"`
	ExitCalled bool   `json:"exit_called,omitempty"`
	// OutOfMemory: it came to the end of its memory.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
	// Reason of the manager, if it was the manager that ended it of its own accord.
	Reason string `json:"reason,omitempty"`
	// Replacing: another will take its index; a replaced frame tells when.
	Replacing bool `json:"replacing,omitempty"`
	// Unreplaced: why that came to nothing.
	Unreplaced string `json:"unreplaced,omitempty"`
}

// Drain says that the manager is about to end.
type Drain struct {
	// Reason completes a sentence on the manager: "it ends: ".
	Reason string `json:"reason"`
}

// Over says that the manager has ended the lease although nobody has given it back.
type Over struct {
	// Reason completes a sentence on an executor of the lease: "it was lost: ".
	Reason string `json:"reason"`
}

// Kill asks the manager to end an executor of the lease and to replace it: it hangs, or it has
// broken the protocol.
type Kill struct {
	Executor int `json:"executor"`
	// PID of the one that is meant, so that its replacement is not hit.
	PID int `json:"pid"`
}

// Pool is about a manager's spare executors: processes that have started and belong to no lease.
type Pool struct {
	// Ready is how many wait for a lease.
	Ready int `json:"ready"`
	// Wanted is how many there will be: no more than cores are free.
	Wanted int `json:"wanted"`
	// Wait, of a request, is how long to wait for as many as are wanted.
	Wait time.Duration `json:"wait,omitempty"`
}

// Code says what kind of failure a Failed is.
type Code string

// Codes of Failed.
const (
	CodeVersion    Code = "version"     // the two ends speak different protocols
	CodeInvalid    Code = "invalid"     // the request makes no sense
	CodeNoCapacity Code = "no-capacity" // not enough free cores; the text says what is missing
	CodeLibrary    Code = "library"     // the function library can not be loaded
	CodeTransport  Code = "transport"   // that transport or provider can not be had
	CodeStart      Code = "start"       // an executor could not be started, or died at once
	CodeTicket     Code = "ticket"      // the lease's ticket, or proof, is missing, forged, expired or used
	CodeLimit      Code = "limit"       // too many regions, too much memory
	CodeInternal   Code = "internal"    // a defect of ours
)

// Failed answers a request that could not be met. It is an error.
type Failed struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
	// Memory: with CodeLimit, the executor's bound in bytes, where that was the limit.
	Memory int64 `json:"memory,omitempty"`
}

func (f *Failed) Error() string { return f.Text }
