package api

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
)

// Owner is the key by which a client shows that a ticket is its own. It never leaves the client's process:
// who reads a ticket on its way has nothing of it.
type Owner struct{ key ed25519.PrivateKey }

// OwnerSize is how many bytes the public half of an owner's key has.
const OwnerSize = ed25519.PublicKeySize

// NewOwner makes a key.
func NewOwner() Owner {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // never fails
	return Owner{key}
}

// Public is what a ticket says of its owner.
func (o Owner) Public() []byte { return o.key.Public().(ed25519.PublicKey) }

// Proof shows that a ticket is the owner's, to the manager that has made the challenge for this connection.
func (o Owner) Proof(challenge []byte, ticket string) []byte {
	return ed25519.Sign(o.key, proven(challenge, ticket))
}

// OwnedBy tells whether a proof is one of the owner that the ticket names.
func (t Ticket) OwnedBy(proof, challenge []byte, text string) bool {
	return len(t.Owner) == OwnerSize && len(challenge) == NonceSize && ed25519.Verify(t.Owner, proven(challenge, text), proof)
}

// proven is what a proof is a signature of.
func proven(challenge []byte, ticket string) []byte {
	sum := sha256.Sum256([]byte(ticket))
	proven := append([]byte("sublet ticket owner"), sum[:]...)
	return append(proven, challenge...)
}
