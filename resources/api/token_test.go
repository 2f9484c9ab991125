package api_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// However many managers start at once, there is one token, that only its owner can read.
func TestTokenIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home", "token")
	if _, err := api.ReadToken(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	nonce := make([]byte, api.NonceSize)
	proofs := make([][]byte, 20)
	var all sync.WaitGroup
	for i := range proofs {
		all.Go(func() {
			token, err := api.MakeToken(path)
			if err != nil {
				t.Error(err)
			}
			proofs[i] = token.Proof(api.ClientProof, nonce, nonce, nil)
		})
	}
	all.Wait()
	for _, proof := range proofs {
		if !bytes.Equal(proof, proofs[0]) {
			t.Fatal("two made different tokens")
		}
	}
	list, err := os.ReadDir(filepath.Dir(path))
	check(t, err)
	info, err := os.Stat(path)
	check(t, err)
	if len(list) != 1 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", list, info.Mode())
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(path, []byte("42\n"), 0o600))
	if _, err := api.MakeToken(path); err == nil || !strings.Contains(err.Error(), "is not a token of Sublet's; remove it") {
		t.Errorf("another file: %v", err)
	}
	check(t, os.Chmod(path, 0o640))
	if _, err := api.ReadToken(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("one that others can read: %v", err)
	}
}

// A proof is good for who made it, for whom, on this connection, and for these nonces alone.
func TestProofs(t *testing.T) {
	dir := t.TempDir()
	token, err := api.MakeToken(filepath.Join(dir, "a"))
	check(t, err)
	other, err := api.MakeToken(filepath.Join(dir, "b"))
	check(t, err)
	one, two, binding := bytes.Repeat([]byte{1}, api.NonceSize), bytes.Repeat([]byte{2}, api.NonceSize), []byte("binding")
	proof := token.Proof(api.ClientProof, one, two, binding)
	for what, right := range map[string]bool{
		"itself":              token.Proves(proof, api.ClientProof, one, two, binding),
		"another token":       !other.Proves(proof, api.ClientProof, one, two, binding),
		"the other end":       !token.Proves(proof, api.ManagerProof, one, two, binding),
		"nonces turned":       !token.Proves(proof, api.ClientProof, two, one, binding),
		"another nonce":       !token.Proves(proof, api.ClientProof, one, one, binding),
		"nonces run together": !token.Proves(proof, api.ClientProof, append(one, two...), nil, binding),
		"another connection":  !token.Proves(proof, api.ClientProof, one, two, []byte("bindinG")),
		"nothing":             !token.Proves(nil, api.ClientProof, one, two, binding),
	} {
		if !right {
			t.Errorf("%s: wrong", what)
		}
	}
}
