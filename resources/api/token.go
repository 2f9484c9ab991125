package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Token is what executor managers and clients of one user on different hosts know, where no resource
// manager stands between them. It is never sent.
type Token struct {
	// File is where it is, for people.
	File   string
	secret []byte
}

// TokenVariable names the file of the token in the environment.
const TokenVariable = "SUBLET_TOKEN_FILE"

const (
	tokenSize = 32
	// NonceSize is how many bytes each end adds to what is proved.
	NonceSize = 32
)

// Who proves that it knows the token: neither's proof is of use to the other.
const (
	ManagerProof = "sublet executor manager"
	ClientProof  = "sublet client"
)

// Proof shows that its maker knows the token, to who has made one of the nonces and is the other end of the
// connection with this [Binding].
func (t Token) Proof(who string, client, manager, binding []byte) []byte {
	mac := hmac.New(sha256.New, t.secret)
	for _, part := range [][]byte{[]byte(who), client, manager, binding} {
		sum := sha256.Sum256(part) // of one length whatever came
		mac.Write(sum[:])
	}
	return mac.Sum(nil)
}

// Proves tells whether a proof is what it is to be.
func (t Token) Proves(proof []byte, who string, client, manager, binding []byte) bool {
	return hmac.Equal(proof, t.Proof(who, client, manager, binding))
}

// TokenFile is where the token is that is meant where none is named: where SUBLET_TOKEN_FILE says, else
// ~/.sublet/token.
func TokenFile() (string, error) {
	if path := os.Getenv(TokenVariable); path != "" {
		return path, nil
	}
	home, err := Home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "token"), nil
}

// ReadToken reads the token of a file; of the usual one if path is empty. One that others could have
// written, or can read, is refused.
func ReadToken(path string) (Token, error) {
	if path == "" {
		var err error
		if path, err = TokenFile(); err != nil {
			return Token{}, err
		}
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Token{}, fmt.Errorf("the token of executor managers: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Token{}, fmt.Errorf("the token of executor managers: %w", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Getuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return Token{}, fmt.Errorf("%s has mode %v and belongs to user %d; it must be a file that you own and only you can read, for it holds a secret: chmod 600", path, info.Mode(), owner)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxAccessFile))
	if err != nil {
		return Token{}, fmt.Errorf("the token of executor managers: %w", err)
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(secret) != tokenSize {
		return Token{}, fmt.Errorf("%s is not a token of Sublet's; remove it, and the next executor manager makes one", path)
	}
	return Token{File: path, secret: secret}, nil
}

// MakeToken is ReadToken, and makes the file if there is none. Of several who do so at once all get the
// same.
func MakeToken(path string) (Token, error) {
	if path == "" {
		var err error
		if path, err = TokenFile(); err != nil {
			return Token{}, err
		}
	}
	token, err := ReadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Token{}, fmt.Errorf("the token of executor managers: %w", err)
	}
	if err := writeToken(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return Token{}, fmt.Errorf("the token of executor managers: %w", err)
	}
	return ReadToken(path)
}

// writeToken makes the file, whole or not at all, unless it is there.
func writeToken(path string) error {
	secret := make([]byte, tokenSize)
	_, _ = rand.Read(secret)                                   // never fails
	file, err := os.CreateTemp(filepath.Dir(path), ".token-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintln(file, hex.EncodeToString(secret))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
