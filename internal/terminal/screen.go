package terminal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sync/errgroup"
)

const (
	// maxScrollback is how many events a screen keeps.
	maxScrollback = 2000
	// peopleWidth is the width of the list of people, which is shown when the
	// window is at least peopleFrom columns wide.
	peopleWidth = 22
	peopleFrom  = 72
)

// The terminal's own sixteen colours, so that its theme decides.
var (
	styleBar    = lipgloss.NewStyle().Reverse(true)
	styleFaint  = lipgloss.NewStyle().Faint(true)
	styleBold   = lipgloss.NewStyle().Bold(true)
	styleNotice = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("3"))
	styleError  = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	nickColours = []string{"2", "4", "5", "6", "10", "12", "13", "14"}
)

// Screen shows the room on a terminal until the user leaves, ctx ends or the
// room says no.
func Screen(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	c := o.conversation()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	var calls errgroup.Group // what the user asked for; it ends with ctx
	s := newScreen(c.uri, c.nick)
	s.do = func(f func(context.Context) tea.Msg) tea.Cmd {
		return func() tea.Msg { return f(ctx) }
	}
	s.say, s.rename = c.say, c.rename
	s.topicTo, s.move = c.setTopic, c.move
	prog := tea.NewProgram(s, tea.WithInput(in), tea.WithOutput(out), tea.WithContext(ctx), tea.WithoutSignalHandler())
	c.emit = func(e event) { prog.Send(e) }
	calls.Go(func() error {
		defer prog.Quit()
		return c.run(ctx)
	})
	_, err := prog.Run()
	leave()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(calls.Wait(), err)
}

// A screen is a room on a terminal: a bar with the topic, what was said, who
// is here, a line for the state of things, and a line to write in. It is the
// model of a bubbletea program, whose loop owns it.
type screen struct {
	// set by Screen
	uri     string
	do      func(func(context.Context) tea.Msg) tea.Cmd
	say     func(ctx context.Context, line, key string) error
	rename  func(ctx context.Context, nick string) error
	topicTo func(ctx context.Context, topic string) error
	move    func(ctx context.Context, room string) error

	nick         string
	title, topic string
	people       map[string]person
	events       []event // what the scrollback is made of
	edit         lineEdit
	unsure       map[string]request // lines in the box that the room may have, by what they say
	asked        []request          // what the user asked for and has no answer yet, in order; the first is on its way
	status       string             // the line above the input
	alarm        bool               // the status is bad news
	until        time.Time          // the status counts down to it, unless it is zero

	width, height int
	lines         []string // the scrollback, wrapped for the width
	up            int      // how many lines it is scrolled up
	unseen        int      // messages that came below while it was
}

func newScreen(uri, nick string) *screen {
	return &screen{uri: uri, nick: nick, people: make(map[string]person), unsure: make(map[string]request), width: 80, height: 24, status: "connecting to " + uri}
}

// A request is something that the user asked for with a line.
type request struct {
	line string // what goes back into the box when the room refuses
	said string // what the room is to say, if anything
	key  string // under which it is said
	done string // the status when all went well; "" leaves it as it is
	do   func(context.Context) error
}

// Messages of the screen to itself.
type (
	// answer is the end of the first of the requests.
	answer struct{ err error }
	tick   struct{}
)

// Init implements [tea.Model].
func (s *screen) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
		s.wrap()
	case tea.PasteMsg:
		s.edit.insert(msg.Content)
	case tea.KeyPressMsg:
		return s, s.key(msg)
	case tea.MouseWheelMsg:
		if msg.Button == tea.MouseWheelUp {
			s.scroll(3)
		} else {
			s.scroll(-3)
		}
	case event:
		return s, s.happened(msg)
	case answer:
		return s, s.answered(msg.err)
	case tick:
		return s, s.count()
	}
	return s, nil
}

// key takes a key press.
func (s *screen) key(msg tea.KeyPressMsg) tea.Cmd {
	switch name := msg.String(); name {
	case "ctrl+c":
		return tea.Quit
	case "enter":
		return s.enter(s.edit.take())
	case "pgup":
		s.scroll(s.page())
	case "pgdown":
		s.scroll(-s.page())
	case "esc":
		s.scroll(-len(s.lines))
	default:
		if name == "ctrl+d" && len(s.edit.text) == 0 {
			return tea.Quit
		}
		if !s.edit.key(name) {
			s.edit.insert(msg.Text)
		}
	}
	return nil
}

// enter takes a line that was written: a command or something to say.
func (s *screen) enter(line string) tea.Cmd {
	if line == "" {
		return nil
	}
	name, arg, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		said := strings.TrimPrefix(line, "/") // "//x" says "/x"
		if !strings.HasPrefix(line, "//") {
			said = line
		}
		key := cmp.Or(s.unsure[said].key, rand.Text())
		delete(s.unsure, said)
		return s.ask(request{line: line, said: said, key: key, do: func(ctx context.Context) error { return s.say(ctx, said, key) }})
	}
	arg = strings.TrimSpace(arg)
	switch name {
	case "/quit", "/leave", "/exit":
		return tea.Quit
	case "/help":
		s.help()
	case "/nick":
		return s.ask(request{line: line, done: "you are " + Plain(arg), do: func(ctx context.Context) error { return s.rename(ctx, arg) }})
	case "/topic":
		if arg == "" {
			s.tell("topic: " + Plain(s.topic))
			return nil
		}
		return s.ask(request{line: line, do: func(ctx context.Context) error { return s.topicTo(ctx, arg) }})
	case "/move":
		return s.ask(request{line: line, do: func(ctx context.Context) error { return s.move(ctx, arg) }})
	default:
		s.alarmed("there is no "+Plain(name)+"; /help lists the commands", 0)
		s.edit.putBack(line)
	}
	return nil
}

// help adds what the user can do to the scrollback.
func (s *screen) help() {
	for _, line := range []string{
		"/nick NAME    change your nick",
		"/topic        show the topic; /topic TEXT sets it (moderators)",
		"/move ROOM    send everybody to another room (moderators)",
		"/quit         leave; so does Ctrl-C",
		"//...         say something that begins with a slash",
		"PgUp PgDn     scroll; Esc goes back to the newest; Up and Down recall your lines",
	} {
		s.add(event{Type: "help", Text: line})
	}
}

// happened takes an event of the room.
func (s *screen) happened(e event) tea.Cmd {
	switch e.Type {
	case "title":
		s.title = e.Text
		return nil
	case "topic":
		s.topic = e.Text
	case "people":
		s.people = make(map[string]person)
		for _, p := range e.Users {
			s.people[p.ID] = p
		}
		return nil
	case "join", "rename":
		s.people[e.User.ID] = *e.User
		if e.Old == s.nick {
			s.nick = e.User.Nick
		}
	case "leave":
		delete(s.people, e.User.ID)
	case "message":
		s.heard(e)
	case "removed":
		s.remove(e.ID)
		return nil
	case "status":
		if e.URL != "" {
			s.uri = e.URL
		}
		if e.Level == "status" {
			s.tell(Plain(e.Text))
			return nil
		}
		return s.alarmed(Plain(e.Text), time.Duration(e.RetryAfter)*time.Millisecond)
	}
	s.add(e)
	return nil
}

// ask asks for something, after what was asked for before: lines that are
// written quickly are said in their order.
func (s *screen) ask(r request) tea.Cmd {
	s.asked = append(s.asked, r)
	if len(s.asked) > 1 {
		return nil
	}
	return s.send(r)
}

// send puts a request on its way.
func (s *screen) send(r request) tea.Cmd {
	return s.do(func(ctx context.Context) tea.Msg { return answer{r.do(ctx)} })
}

// answered takes the end of the first request. A line that the room refused goes
// back into the box, with the reason, and so do those that waited behind it.
func (s *screen) answered(err error) tea.Cmd {
	if err == nil {
		if s.asked[0].done != "" || s.alarm {
			s.tell(s.asked[0].done)
		}
		s.asked = s.asked[1:]
		if len(s.asked) == 0 {
			return nil
		}
		return s.send(s.asked[0])
	}
	for i := len(s.asked) - 1; i >= 0; i-- {
		s.edit.putBack(s.asked[i].line)
	}
	if first := s.asked[0]; first.key != "" {
		s.unsure[first.said] = first
	}
	s.asked = nil
	no, _ := errors.AsType[*errRefused](err)
	if no == nil {
		no = &errRefused{reason: "not sent: " + reason(err)}
	}
	return s.alarmed(Plain(no.reason), no.retryAfter)
}

// heard takes a message. A line of our own that the room was not sure of, and that it
// has now, need not stay in the box.
func (s *screen) heard(m event) {
	r, ok := s.unsure[m.Text]
	if !ok || m.User.Nick != s.nick {
		return
	}
	delete(s.unsure, m.Text)
	if rest, ok := strings.CutPrefix(string(s.edit.text)+" ", r.line+" "); ok {
		s.edit.text = []rune(strings.TrimSuffix(rest, " "))
		s.edit.at = len(s.edit.text)
		s.tell("")
	}
}

// tell sets the status line to something fine.
func (s *screen) tell(text string) { s.status, s.alarm, s.until = text, false, time.Time{} }

// alarmed sets the status line to bad news, counting down for d.
func (s *screen) alarmed(text string, d time.Duration) tea.Cmd {
	s.status, s.alarm, s.until = text, true, time.Time{}
	if d <= 0 {
		return nil
	}
	s.until = time.Now().Add(d)
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tick{} })
}

// count continues to count down.
func (s *screen) count() tea.Cmd {
	if time.Until(s.until) <= 0 {
		s.until, s.alarm = time.Time{}, false
		return nil
	}
	return tea.Tick(min(time.Second, time.Until(s.until)), func(time.Time) tea.Msg { return tick{} })
}

// add adds an event to the scrollback. The text stays where it is while it is
// scrolled up.
func (s *screen) add(e event) {
	more := s.render(e)
	s.events, s.lines = append(s.events, e), append(s.lines, more...)
	if s.up > 0 {
		s.up += len(more)
		if e.Type == "message" {
			s.unseen++
		}
	}
	if len(s.events) > maxScrollback {
		s.events = slices.Clone(s.events[maxScrollback/10:])
		s.wrap()
	}
}

// remove takes the text of a message away.
func (s *screen) remove(id float64) {
	for i, e := range s.events {
		if e.Type == "message" && e.ID == id {
			s.events[i].Text = ""
		}
	}
	s.wrap()
}

// wrap makes the lines again, for another width or other events.
func (s *screen) wrap() {
	s.lines = nil
	for _, e := range s.events {
		s.lines = append(s.lines, s.render(e)...)
	}
	s.scroll(0)
}

// page is how many lines of the scrollback are seen at once.
func (s *screen) page() int { return max(1, s.height-3) }

// scroll goes up by n lines, or down.
func (s *screen) scroll(n int) {
	s.up = max(0, min(s.up+n, len(s.lines)-s.page()))
	if s.up == 0 {
		s.unseen = 0
	}
}

// textWidth is the width of the scrollback.
func (s *screen) textWidth() int {
	if s.width >= peopleFrom {
		return s.width - peopleWidth - 1
	}
	return max(1, s.width)
}

// render is an event as lines of the scrollback.
func (s *screen) render(e event) []string {
	head, body := "", ""
	switch e.Type {
	case "message":
		nick := Plain(e.User.Nick)
		head = styleFaint.Render(e.clock()[:5]) + " " + nickStyle(nick).Render(nick) + " "
		body = Plain(e.Text)
		if e.Text == "" {
			body = styleFaint.Render("(removed)")
		}
	case "notice":
		head, body = styleNotice.Render("!!")+" ", styleNotice.Render(Plain(e.Text))
	case "help":
		body = styleFaint.Render(e.Text)
	default:
		body = styleFaint.Render(e.String())
	}
	return hang(head, body, s.textWidth())
}

// hang wraps body behind head; further lines hang below the body's first.
func hang(head, body string, width int) []string {
	indent := min(ansi.StringWidth(head), width/3)
	lines := strings.Split(ansi.Wrap(body, max(1, width-ansi.StringWidth(head)), ""), "\n")
	if ansi.StringWidth(head) > indent {
		lines = strings.Split(ansi.Wrap(head+body, max(1, width-indent), ""), "\n")
		head = ""
	}
	for i := range lines {
		if i == 0 {
			lines[i] = head + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
	}
	return lines
}

// nickStyle gives everybody the same colour each time.
func nickStyle(nick string) lipgloss.Style {
	h := fnv.New32a()
	h.Write([]byte(strings.ToLower(nick)))
	return styleBold.Foreground(lipgloss.Color(nickColours[h.Sum32()%uint32(len(nickColours))]))
}

// View implements [tea.Model].
func (s *screen) View() tea.View {
	rows := append([]string{s.bar()}, s.body()...)
	prompt := ansi.Truncate(Plain(s.nick), max(1, s.width/3), "…") + "> "
	line, cursor := s.edit.view(max(1, s.width-ansi.StringWidth(prompt)))
	rows = append(rows, s.statusLine(), ansi.Truncate(styleFaint.Render(prompt)+line, s.width, ""))
	v := tea.NewView(strings.Join(rows, "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = "foyer: " + roomName(s.uri)
	v.Cursor = tea.NewCursor(ansi.StringWidth(prompt)+cursor, len(rows)-1)
	return v
}

// bar is the first line: the room, its title and topic, and how many are here.
func (s *screen) bar() string {
	left := " " + roomName(s.uri)
	for _, part := range []string{s.title, s.topic} {
		if part != "" {
			left += " · " + Plain(part)
		}
	}
	right := fmt.Sprintf(" %d here ", len(s.people))
	left = ansi.Truncate(left, max(0, s.width-ansi.StringWidth(right)), "…")
	pad := max(0, s.width-ansi.StringWidth(left)-ansi.StringWidth(right))
	return styleBar.Render(ansi.Truncate(left+strings.Repeat(" ", pad)+right, s.width, ""))
}

// body is the scrollback, with the people beside it when there is room.
func (s *screen) body() []string {
	end := len(s.lines) - s.up
	seen := s.lines[max(0, end-s.page()):max(0, end)]
	rows := make([]string, s.page())
	copy(rows[len(rows)-len(seen):], seen)
	if s.width < peopleFrom {
		return rows
	}
	people := byNick(s.people)
	for i := range rows {
		rows[i] += strings.Repeat(" ", max(0, s.textWidth()-ansi.StringWidth(rows[i]))) + styleFaint.Render("│")
		switch {
		case i == len(rows)-1 && len(people) > len(rows):
			rows[i] += styleFaint.Render(fmt.Sprintf(" and %d more", len(people)-i))
		case i < len(people):
			rows[i] += " " + personLine(people[i])
		}
	}
	return rows
}

// personLine is somebody in the list of people.
func personLine(p person) string {
	mark := ""
	if p.Role == "moderator" {
		mark = "@"
	}
	nick := ansi.Truncate(mark+Plain(p.Nick), peopleWidth-7, "…")
	return nickStyle(Plain(p.Nick)).Render(nick) + styleFaint.Render(" "+Plain(p.Via))
}

// statusLine is the line above the input.
func (s *screen) statusLine() string {
	text, style := s.status, styleFaint
	if s.alarm {
		style = styleError
	}
	if d := time.Until(s.until); !s.until.IsZero() && d > 0 {
		text = fmt.Sprintf("%d s · %s", int(d.Seconds()+0.999), text)
	}
	if s.unseen > 0 {
		text = fmt.Sprintf("↓ %d new (Esc) · %s", s.unseen, text)
	}
	return style.Render(ansi.Truncate(text, s.width, "…"))
}

// roomName is the last part of a room's address.
func roomName(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	uri = strings.TrimRight(uri, "/")
	return uri[strings.LastIndexByte(uri, '/')+1:]
}
