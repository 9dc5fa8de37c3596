package replicas

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The clocks of replicas may differ by 30 s: nobody notices, and nothing that is revoked lives on.
// T69.
func TestRevocationHoldsWhereClocksDiffer(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	t.Run("by as much as is allowed", s.clocksDiffer)
	t.Run("by an hour", s.clockAnHourLate)
}

func (s *stack) clocksDiffer(t *testing.T) {
	a, b, c := s.start(t, "A"), s.startAt(t, "B", 14*time.Second), s.startAt(t, "C", -14*time.Second)
	l := s.newLoad(t, a, b, c)
	for _, r := range l.replicas {
		if _, err := r.login(t.Context(), l.accounts["bystander"]); err != nil {
			t.Errorf("on %s, after logins on the others: %v", r.name, err)
		}
	}
	l.run(func() { time.Sleep(time.Second) })
	l.h.check(t, bound)
}

// A process in the past refuses the access tokens of others, which are not yet made by its clock. API tokens
// work there, and stop to.
func (s *stack) clockAnHourLate(t *testing.T) {
	a, b := s.start(t, "A"), s.startAt(t, "B", -time.Hour)
	l := s.newLoad(t, a)
	victims := []*token{}
	for range 10 {
		victims = append(victims, l.apiToken(l.owner))
	}
	for _, tok := range victims {
		for range 3 {
			if how, _ := l.observe(b, tok); how != accepted {
				t.Errorf("an API token is not accepted where the clock is late")
			}
		}
		l.h.revoking(tok)
		l.retry("revokeApiToken", mutation(l.owner, revokeTokenMutation, map[string]any{"id": tok.id}))
		l.h.acknowledged("revokeApiToken", tok)
		l.probe([]*token{tok}, b)
	}
	time.Sleep(bound + 100*time.Millisecond)
	for _, tok := range victims {
		l.observe(b, tok)
	}
	for range 10 { // what is not revoked goes on
		l.observe(b, l.apiToken(l.owner))
	}
	l.pending.Wait()
	l.h.check(t, bound)
	if how, reason := b.use(t.Context(), l.login("logout")); how != refused {
		t.Errorf("an access token from an hour ahead: %v %s", how, reason)
	}
}

// startAt starts a replica whose wall clock is off, for good and for the whole process.
func (s *stack) startAt(t *testing.T, name string, off time.Duration) *replica {
	t.Helper()
	r := s.launch(t, name, func(cmd *exec.Cmd) error { return startShifted(cmd, off) })
	r.awaitHearing(t, true)
	resp := must[*http.Response](t)(probes.Get(r.url + "/healthz"))
	resp.Body.Close()
	says := must[time.Time](t)(http.ParseTime(resp.Header.Get("Date")))
	if got := time.Until(says); (got - off).Abs() > 3*time.Second {
		t.Fatalf("the clock of replica %s is off by %v, want %v", name, got, off)
	}
	return r
}

// startShifted starts a program whose wall clock is off. Go programs ask the kernel's vDSO, not the C library,
// for the time, so the vDSO's function is replaced in the new process before its first instruction.
func startShifted(cmd *exec.Cmd, off time.Duration) error {
	runtime.LockOSThread() // the thread that traces must be one
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil {
		return err
	}
	if err := shiftClock(cmd.Process.Pid, off); err != nil {
		cmd.Process.Kill()
		return err
	}
	return syscall.PtraceDetach(cmd.Process.Pid)
}

// shiftClock replaces clock_gettime in a process: the system call, and for CLOCK_REALTIME (0) so many seconds
// more.
func shiftClock(pid int, off time.Duration) error {
	code := []byte{
		0xb8, 0xe4, 0, 0, 0, // mov eax, 228
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi
		0x75, 0x07, // jnz +7
		0x48, 0x81, 0x06, // add qword [rsi], …
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(off/time.Second)))
	code = append(code, 0xc3) // ret
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		from, to, _ := strings.Cut(strings.Fields(line)[0], "-")
		start, err1 := strconv.ParseInt(from, 16, 64)
		end, err2 := strconv.ParseInt(to, 16, 64)
		if err1 != nil || err2 != nil {
			break
		}
		at, err := clockFunction(memory, start, end)
		if err == nil {
			_, err = memory.WriteAt(code, at)
		}
		return err
	}
	return fmt.Errorf("process %d has no vDSO", pid)
}

// clockFunction finds clock_gettime in the vDSO at start.
func clockFunction(memory *os.File, start, end int64) (int64, error) {
	image := make([]byte, end-start)
	if _, err := memory.ReadAt(image, start); err != nil {
		return 0, err
	}
	library, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, err
	}
	symbols, err := library.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, symbol := range symbols {
		if symbol.Name == "__vdso_clock_gettime" {
			return start + int64(symbol.Value), nil
		}
	}
	return 0, fmt.Errorf("the vDSO has no clock_gettime")
}
