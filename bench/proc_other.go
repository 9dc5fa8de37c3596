//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

var errNotLinux = errors.New("the harness reads CPU time and memory from Linux's /proc")

func treeCPU(int) (time.Duration, error)          { return 0, errNotLinux }
func treeMemory(int, string) (kib int, err error) { return 0, errNotLinux }
func leash(*exec.Cmd)                             {}
func signalGroup(cmd *exec.Cmd, s syscall.Signal) { _ = cmd.Process.Signal(s) }
func cpuModel() string                            { return "unknown" }
