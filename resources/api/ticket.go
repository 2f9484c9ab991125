package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Ticket is the right to a lease's executors on one node. The resource manager signs it with the
// key of that node's manager, the client carries it there and shows that it is its own ([Owner]). So a manager
// needs no notice of a grant, which the client could overtake.
type Ticket struct {
	Lease     string    `json:"lease"`
	Node      string    `json:"node"`
	UID       int       `json:"uid"`
	User      string    `json:"user"`
	Account   string    `json:"account,omitempty"`
	Executors []Placed  `json:"executors"`
	Granted   time.Time `json:"granted"`
	// Owner is whose it is: the public half of the client's key.
	Owner []byte `json:"owner"`
	// Expires is until when the manager admits the lease. Once admitted, it lasts as long as the
	// client's connection.
	Expires time.Time `json:"expires"`
	// Until is when the manager ends the lease, because its time limit is over; zero: it has none.
	Until time.Time `json:"until,omitzero"`
}

// KeySize is how many bytes a manager's key has.
const KeySize = 32

// Sign makes a ticket's text.
func (t Ticket) Sign(key []byte) (string, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("a ticket for lease %s: %w", t.Lease, err)
	}
	encoded := base64.RawURLEncoding.EncodeToString(body)
	return encoded + "." + signature(key, encoded), nil
}

// signature is as it stands in a ticket. Texts are compared, and not what they encode: decoding passes over
// line breaks, and the same ticket could be written in many ways.
func signature(key []byte, encoded string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(encoded))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// ParseTicket verifies a ticket's signature. Node and time are for the caller to compare.
func ParseTicket(text string, key []byte) (Ticket, error) {
	var ticket Ticket
	encoded, signed, found := strings.Cut(text, ".")
	if !found {
		return ticket, Because(ErrUnauthorized, "the ticket has no signature")
	}
	if len(key) != KeySize || !hmac.Equal([]byte(signed), []byte(signature(key, encoded))) {
		return ticket, Because(ErrUnauthorized, "the ticket's signature is not the resource manager's")
	}
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(body, &ticket)
	}
	if err != nil {
		return ticket, Because(ErrInvalid, "the ticket can not be read: %v", err)
	}
	return ticket, nil
}
