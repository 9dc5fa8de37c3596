package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the CPU time of a process, including that of threads that have exited, in nanoseconds. Its children do
// not count. The clock of another process has the number that clock_getcpuclockid(3) computes from the PID.
func processCPU(pid int) (time.Duration, error) {
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// treeCPU returns the CPU time of a process and all its descendants, including those that have exited.
func treeCPU(pid int) (time.Duration, error) {
	total, err := processCPU(pid)
	if err != nil {
		return 0, err
	}
	exited, err := exitedCPU(pid)
	if err != nil {
		return 0, err
	}
	total += exited
	for _, child := range children(pid) {
		if d, err := treeCPU(child); err == nil { // otherwise it has just exited
			total += d
		}
	}
	return total, nil
}

// exitedCPU returns the CPU time of children that have exited: cutime and cstime of proc(5), in ticks of 10 ms.
func exitedCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may contain spaces
	if len(fields) < 15 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, err1 := strconv.Atoi(string(fields[13]))
	system, err2 := strconv.Atoi(string(fields[14]))
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // fails only on a malformed pattern
	for _, file := range files {
		text, _ := os.ReadFile(file) // otherwise the thread has just exited
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// treeMemory returns the resident memory of a process and its descendants in KiB: at present or, with "VmHWM", at its peak.
func treeMemory(pid int, field string) (kib int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			if kib, err = strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB")); err != nil {
				return 0, err
			}
		}
	}
	for _, child := range children(pid) {
		if n, err := treeMemory(child, field); err == nil {
			kib += n
		}
	}
	return kib, nil
}

// leash makes the process the leader of a group, and has it killed if the harness dies.
func leash(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func signalGroup(cmd *exec.Cmd, s syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, s) } // it may have ended

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, ": \t\n")
		}
	}
	return "unknown"
}
