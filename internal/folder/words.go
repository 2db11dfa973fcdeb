package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// InWords is err with a sentence in place of what the system says about a file:
// what is wrong with it, and for one that this user may not use also what its owner
// can do. data is the data folder.
func InWords(err error, data string) error {
	var path string
	var raw error
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		path, raw = e.Path, e
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		path, raw = e.New, e
	} else {
		return err
	}
	sentence := sentence(path, data, raw)
	if sentence == "" {
		return err
	}
	return &worded{strings.Replace(err.Error(), raw.Error(), sentence, 1), err}
}

// A worded error says the same in other words.
type worded struct {
	text string
	err  error
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.err }

// sentence says what is wrong with a file; "" when nothing better can be said than
// the system does.
func sentence(path, data string, err error) string {
	found, info := nearest(path)
	switch {
	case path == "":
		return "the name of a file is empty"
	case errors.Is(err, syscall.ENOTDIR), info != nil && found != path && !info.IsDir():
		return fmt.Sprintf("%s is a file, and a folder is needed there", found)
	case errors.Is(err, fs.ErrPermission):
		return forbidden(path, data, os.Getuid(), os.Getgid())
	case errors.Is(err, syscall.EROFS):
		return fmt.Sprintf("%s is on a disk that can only be read: mount it to be written, or name another place", path)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Sprintf("the disk of %s is full", path)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Sprintf("%s is a folder, and a file is needed there", path)
	case errors.Is(err, fs.ErrNotExist) && found != "" && found != path && filepath.Dir(path) != found:
		return fmt.Sprintf("there is no folder %s", filepath.Dir(path))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no file %s", path)
	}
	return ""
}

// nearest is the path itself or else the nearest folder above it that is there.
func nearest(path string) (found string, info fs.FileInfo) {
	for {
		if info, err := os.Stat(path); err == nil {
			return path, info
		}
		above := filepath.Dir(path)
		if above == path {
			return "", nil
		}
		path = above
	}
}

// forbidden says why a user may not use a file, and who can do what about it.
func forbidden(path, data string, uid, gid int) string {
	target := path
	if below(path, data) || below(data, path) { // as when the folders above it are to be made
		target = data
	}
	found, info := nearest(path)
	_, there := os.Stat(target)
	owner, known := ownerOf(info)
	switch {
	case !known:
		return fmt.Sprintf("this user may not use %s: give this user the right to, or name another place", path)
	case there != nil && target == data: // the folder that it would be in may be everybody's
		return fmt.Sprintf("this user (%s) may not make the folder %s: make it with 'sudo install -d -m 700 -o %d -g %d %s', or name another one with --data", userName(uid), data, uid, gid, data)
	case owner == uid:
		return fmt.Sprintf("%s belongs to this user, and its mode %04o keeps it away: run 'chmod -R u+rwX %s'", found, info.Mode().Perm(), target)
	case uid == 0:
		return fmt.Sprintf("%s is kept even from root: by its file system, or by a security module such as SELinux, for which a container's volume needs :Z", path)
	case target != data:
		return fmt.Sprintf("%s belongs to the user %s, and this is %s: give this user the right to use it, or name another one", found, userName(owner), userName(uid))
	}
	where := fmt.Sprintf("run 'sudo chown -R %d:%d %s'", uid, gid, target)
	if os.Getpid() == 1 { // in a container
		where = fmt.Sprintf("run 'sudo chown -R %d:%d' on the folder of the host that is mounted at %s", uid, gid, target)
	}
	return fmt.Sprintf("%s belongs to the user %s, and this is %s: %s, or start foyer as the owner", found, userName(owner), userName(uid), where)
}

// below reports whether a path is a folder's or in it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return path != "" && dir != "" && err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Owner is the name of the user who owns a file; "" when it cannot be found out.
func Owner(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if uid, ok := ownerOf(info); ok {
		return userName(uid)
	}
	return ""
}

// userName is a user's name, or else the number: a container may have no list of
// them.
func userName(uid int) string {
	if uid == 0 {
		return "root"
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
