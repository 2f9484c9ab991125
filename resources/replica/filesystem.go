package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// class is what a file system is good for.
type class int

const (
	disked class = iota // of this host alone; outlasts a boot, as far as can be told
	memory              // of this host alone, gone at the next boot
	shared              // a server's or several hosts'
)

type fileSystem struct {
	class class
	name  string
}

// fileSystems are those that are no disk of this host, by the number that statfs gives.
var fileSystems = map[uint32]fileSystem{
	unix.TMPFS_MAGIC:       {memory, "tmpfs, in memory"},
	unix.RAMFS_MAGIC:       {memory, "ramfs, in memory"},
	unix.NFS_SUPER_MAGIC:   {shared, "NFS"},
	unix.SMB_SUPER_MAGIC:   {shared, "SMB"},
	unix.CIFS_SUPER_MAGIC:  {shared, "CIFS"},
	unix.SMB2_SUPER_MAGIC:  {shared, "SMB"},
	unix.FUSE_SUPER_MAGIC:  {shared, "FUSE"},
	unix.AFS_SUPER_MAGIC:   {shared, "AFS"},
	unix.AFS_FS_MAGIC:      {shared, "AFS"},
	unix.CODA_SUPER_MAGIC:  {shared, "Coda"},
	unix.CEPH_SUPER_MAGIC:  {shared, "CephFS"},
	unix.OCFS2_SUPER_MAGIC: {shared, "OCFS2"},
	unix.V9FS_MAGIC:        {shared, "9p"},
	0x0BD00BD0:             {shared, "Lustre"},
	0x47504653:             {shared, "GPFS"},
	0x19830326:             {shared, "BeeGFS"},
	0x20030528:             {shared, "OrangeFS"},
	0xAAD7AAEA:             {shared, "PanFS"},
	0x01161970:             {shared, "GFS2"},
}

// fileSystemOf is the one that a path is on, or would be on.
func fileSystemOf(path string) (fileSystem, error) {
	for {
		var found unix.Statfs_t
		err := unix.Statfs(path, &found)
		if err == nil {
			return classify(uint32(found.Type)), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return fileSystem{}, fmt.Errorf("the file system of %s: %w", path, err)
		}
		path = parent
	}
}

func classify(number uint32) fileSystem {
	if known, listed := fileSystems[number]; listed {
		return known
	}
	return fileSystem{disked, fmt.Sprintf("a disk (file system %#x)", number)}
}
