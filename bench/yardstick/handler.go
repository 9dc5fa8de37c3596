package main

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

type digest = [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

type handler struct {
	store   *store
	known   atomic.Pointer[known]
	hashing slots
}

// known is the Setup with digests in the place of tokens.
type known struct {
	me             map[digest][]byte
	refused, login []byte
}

// buffers hold request bodies, which are read and, except at a login, not looked at.
var buffers = sync.Pool{New: func() any { b := make([]byte, 4096); return &b }}

func discard(body io.Reader) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		if _, err := body.Read(*buffer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func write(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// bearer reads the body and returns the token.
func bearer(w http.ResponseWriter, r *http.Request) (token string, ok bool) {
	if err := discard(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return "", false
	}
	token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token, true
}

// me is L1: the token's digest is looked up in a map, and the response is ready.
func (h *handler) me(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(w, r)
	if !ok {
		return
	}
	k := h.known.Load()
	response, ok := k.me[digestOf(token)]
	if !ok {
		response = k.refused
	}
	write(w, response)
}

// miss is L2: one prepared read of API token and user.
func (h *handler) miss(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(w, r)
	if !ok {
		return
	}
	u, err := h.store.tokenOwner(r.Context(), digestOf(token))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var response struct {
		Data struct {
			Me *owner `json:"me"`
		} `json:"data"`
	}
	response.Data.Me = u
	writeJSON(w, &response)
}

// list is L3: L1's check of the token, and 50 rows.
func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(w, r)
	if !ok {
		return
	}
	k := h.known.Load()
	if _, ok := k.me[digestOf(token)]; !ok {
		write(w, k.refused)
		return
	}
	users, err := h.store.users(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var response struct {
		Data struct {
			Users struct {
				Nodes []user `json:"nodes"`
			} `json:"users"`
		} `json:"data"`
	}
	response.Data.Users.Nodes = users
	writeJSON(w, &response)
}

func writeJSON(w http.ResponseWriter, response any) {
	b, err := json.Marshal(response)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, b)
}

// login is L4: one read and one hash with the parameters of the stored one.
func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Variables struct{ Username, Password string } `json:"variables"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hash, err := h.store.passwordHash(r.Context(), request.Variables.Username)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !h.hashing.verify(hash, request.Variables.Password) {
		http.Error(w, "wrong password", http.StatusForbidden)
		return
	}
	write(w, h.known.Load().login)
}

// slots hash as many passwords at the same time as there are processors, as Latchkey does: each takes 19 MiB.
type slots chan struct{}

func newSlots() slots { return make(slots, runtime.GOMAXPROCS(0)) }
