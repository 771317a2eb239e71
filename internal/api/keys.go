package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Key is what a client shows to be let in.
type Key struct {
	Name   string // for limits and logs
	Scopes []Scope

	digest [sha256.Size]byte
}

// NewKey returns a key of the given secret.
func NewKey(name, secret string, scopes []Scope) *Key {
	return &Key{Name: name, Scopes: scopes, digest: sha256.Sum256([]byte(secret))}
}

func (k *Key) includes(needed Scope) bool {
	for _, s := range k.Scopes {
		if s.Includes(needed) {
			return true
		}
	}
	return false
}

// Keys are all keys. Without any, everybody may do everything.
type Keys []*Key

// Admit returns the key of a request, nil where none is needed, or why the
// request is refused. How long it takes says nothing about the keys: digests of
// equal length are compared in constant time, and always all of them.
func (keys Keys) Admit(r *http.Request, needed Scope) (*Key, *Problem) {
	if len(keys) == 0 || needed == Public {
		return nil, nil
	}
	secret := r.Header.Get("X-Api-Key")
	if secret == "" {
		if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
			secret = strings.TrimSpace(token)
		}
	}
	if secret == "" {
		return nil, Problemf(http.StatusUnauthorized, "no key; give one in the header X-API-Key, or as Authorization: Bearer")
	}
	digest := sha256.Sum256([]byte(secret))
	var found *Key
	for _, k := range keys {
		if subtle.ConstantTimeCompare(k.digest[:], digest[:]) == 1 {
			found = k
		}
	}
	switch {
	case found == nil:
		return nil, Problemf(http.StatusUnauthorized, "the key is not known here")
	case !found.includes(needed):
		return found, Problemf(http.StatusForbidden, "the key %s does not have the scope %s", found.Name, needed)
	}
	return found, nil
}
