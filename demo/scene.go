package demo

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed scenes/*.txt
var sceneFiles embed.FS

// names are the rooms, in the order in which servers get them.
var names = []string{"blue", "jazz", "workshop", "garden", "night-train", "kitchen"}

// A scene describes a room. Its file has "key: value" lines, an empty line, and
// dialogues with an empty line between them. In a dialogue a, b, c and d are
// any people in the room.
type scene struct {
	name      string
	title     string
	topics    []string
	tags      []string
	host      string // sets the topic; always there
	people    []string
	dialogues [][]line
}

// A line is said by one of the roles 'a' to 'd'.
type line struct {
	role byte
	text string
}

// loadScene reads the scene with that name.
func loadScene(name string) (*scene, error) {
	b, err := sceneFiles.ReadFile(path.Join("scenes", name+".txt"))
	if err != nil {
		return nil, err
	}
	s, err := parseScene(name, string(b))
	if err != nil {
		return nil, fmt.Errorf("demo: scene %s: %w", name, err)
	}
	return s, nil
}

func parseScene(name, text string) (*scene, error) {
	s := &scene{name: name}
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	for _, l := range strings.Split(blocks[0], "\n") {
		key, value, _ := strings.Cut(l, ": ")
		switch key {
		case "title":
			s.title = value
		case "topic":
			s.topics = append(s.topics, value)
		case "tags":
			s.tags = strings.Split(value, ", ")
		case "host":
			s.host = value
		case "people":
			s.people = strings.Split(value, ", ")
		default:
			return nil, fmt.Errorf("unknown key %q", key)
		}
	}
	if s.title == "" || s.host == "" || len(s.topics) == 0 || len(s.people) < 4 || len(blocks) < 2 {
		return nil, fmt.Errorf("want a title, a topic, a host, at least four people, and dialogues")
	}
	for _, block := range blocks[1:] {
		var d []line
		for _, l := range strings.Split(block, "\n") {
			role, said, ok := strings.Cut(l, ": ")
			if !ok || len(role) != 1 || role < "a" || role > "d" {
				return nil, fmt.Errorf("not a line of a dialogue: %q", l)
			}
			d = append(d, line{role[0], said})
		}
		s.dialogues = append(s.dialogues, d)
	}
	return s, nil
}
