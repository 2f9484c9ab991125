package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
	"github.com/sublet-hpc/sublet/resources/api"
)

// keys are what a resource manager is known by, and knows others by: those who were told them go on
// when it is started again. They lie beside its ledger, for its user alone to read.
type keys struct {
	identity *api.Identity
	tokens   api.Tokens
}

// keysFile is how they are kept.
type keysFile struct {
	Version int `json:"version"`
	// Key is the private key in PKCS #8.
	Key    []byte     `json:"key"`
	Tokens api.Tokens `json:"tokens"`
}

const (
	keysName    = "keys.json"
	keysVersion = 1
	tokenSize   = 32
	maxKeysFile = 64 << 10
)

// keepKeys reads the keys of a data directory, and makes them if there are none.
func keepKeys(directory string) (keys, error) {
	path := filepath.Join(directory, keysName)
	kept, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		if kept, err = makeKeys(); err == nil {
			err = writeKeys(directory, kept)
		}
	}
	if err != nil {
		return keys{}, fmt.Errorf("the keys of the resource manager: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(kept.Key)
	private, is := key.(*ecdsa.PrivateKey)
	if err != nil || !is || kept.Version != keysVersion || len(kept.Tokens.Roles()) != len(api.Roles) {
		return keys{}, damagedKeys(path)
	}
	identity, err := api.IdentityOf(private)
	if err != nil {
		return keys{}, fmt.Errorf("the keys of the resource manager: %w", err)
	}
	return keys{identity, kept.Tokens}, nil
}

func readKeys(path string) (kept keysFile, _ error) {
	info, err := os.Lstat(path)
	if err != nil {
		return kept, err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Getuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return kept, fmt.Errorf("%s has mode %v and belongs to user %d; it must be a file that you own and only you can read, for it holds secrets. If others could read it, remove it, and new keys are made", path, info.Mode(), owner)
	}
	if info.Size() > maxKeysFile {
		return kept, fmt.Errorf("%s has %d bytes; it is no file of Sublet's", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return kept, err
	}
	if json.Unmarshal(text, &kept) != nil { // what is said of it has no part of what it holds
		return kept, damagedKeys(path)
	}
	return kept, nil
}

func damagedKeys(path string) error {
	return fmt.Errorf("%s is damaged, or of another version of Sublet; remove it, and new keys are made: then access files that were handed out are of no use any more", path)
}

func makeKeys() (made keysFile, _ error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return made, err
	}
	made.Version = keysVersion
	if made.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return made, err
	}
	made.Tokens = api.Tokens{Admin: newToken(), Manager: newToken(), Client: newToken(), Batch: newToken()}
	return made, nil
}

func newToken() string {
	token := make([]byte, tokenSize)
	_, _ = rand.Read(token) // never fails
	return hex.EncodeToString(token)
}

// writeKeys writes the file, whole or not at all.
func writeKeys(directory string, made keysFile) error {
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(directory, keysName), append(text, '\n'), 0o600)
}
