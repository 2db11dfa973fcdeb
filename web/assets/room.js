// @ts-check
// The room page. It begins as a spectator, joins when somebody gives a name, and stays
// true while connections come and go.

import { Broadcasting } from "./broadcasting.js";
import { Chat } from "./chat.js";
import { ChatLog } from "./chatlog.js";
import { addCopyButtons } from "./clipboard.js";
import { Composer } from "./composer.js";
import { identity, moveTo } from "./identity.js";
import { JoinForm } from "./joinform.js";
import { LinkState } from "./linkstate.js";
import { Menu } from "./menu.js";
import { NO_CONNECTION, SharedObject, explain } from "./netconnection.js";
import { People, sameNick } from "./people.js";
import { RecordingDialog, showRecordings } from "./recordings.js";
import { Link, restarts } from "./reconnect.js";
import { Settings } from "./settings.js";
import { Streams } from "./streams.js";
import { TabTitle } from "./tabtitle.js";
import { keepFitting } from "./viewport.js";
import { view } from "./views.js";
import { inWords } from "./words.js";

/** @typedef {import("./netconnection.js").Info} Info */

/** @param {string} selector @returns {any} */
const the = (selector) => document.querySelector(selector);
const name = document.body.dataset.name ?? "";
const uri = `room/${encodeURIComponent(name)}`;
const sayForm = the(".composer"), gone = the(".gone");

const log = new ChatLog();
const chat = new Chat(the(".talk"), (id) => log.key(id));
const joinForm = new JoinForm(the(".join")), composer = new Composer(sayForm);
const tabTitle = new TabTitle();
const people = new People(the(".people"));
const menu = new Menu(the(".talk-menu"));
const settings = new Settings(the(".moderate"));
const streams = new Streams(the(".hall"), name), broadcasting = new Broadcasting(the(".broadcasting"), name);
const recording = new RecordingDialog(the(".recording-dialog"), streams.player);
const users = SharedObject.getRemote("users", uri);
const state = SharedObject.getRemote("room", uri);

/** Who we are; nick is "" while we are a spectator. */
const me = { nick: "", credential: "", id: "", moderator: false };
/** Why there is no connection, and whether we still have to come in under the name of an earlier page. */
let refused = "", returning = false;

const link = new Link(uri, {
  message: (/** @type {any} */ message) => log.receive(message),
  removed: (/** @type {number} */ id) => log.removed(id),
  notice: (/** @type {any} */ { text }) => chat.notice(text),
  moved: (/** @type {any} */ { room }) => moveTo(name, room, me.nick),
});

// State of the connection

const linkState = new LinkState(the(".link-state"), link);
link.onUp = (nc) => {
  linkState.found();
  returning = false;
  users.connect(nc);
  state.connect(nc);
  log.catchUp(nc).then(() => { if (me.nick) composer.again(); });
  composer.forgive(NO_CONNECTION);
  for (const why of [NO_CONNECTION, refused]) joinForm.forgive(why);
  if (settings.error.textContent === NO_CONNECTION) settings.error.textContent = "";
  show();
};
link.onDown = (info, wait) => {
  refused = link.why;
  linkState.restarting ||= restarts(info);
  linkState.lose(wait);
  show();
};
link.onEnd = (info) => {
  if (me.nick && !linkState.lost && !returning) return leave("You are no longer in the room", reason(info));
  if (!me.nick) return leave("This room does not let you in", reason(info));
  // Our name is taken now, or we may not come back: become a spectator, and say why.
  becomeSpectator();
  link.start();
  joinForm.complain(reason(info));
};

/** @param {Info} info */
const reason = (info) => info.code === "NetConnection.Connect.Failed" ? link.why || NO_CONNECTION : inWords(info.description || info.code);

/** @param {string} title @param {string} why */
function leave(title, why) {
  forget();
  gone.querySelector("h2").textContent = title;
  gone.querySelector("p").textContent = why;
  gone.hidden = false;
  show();
  gone.focus();
}

gone.querySelector("button").addEventListener("click", () => {
  gone.hidden = true;
  linkState.found();
  link.start();
  show();
  joinForm.box.focus();
});

// Who we are

/** The user arguments of connect. @param {string} nick @param {string} credential */
const connectArgs = (nick, credential) => [nick, credential, identity.resume];

/** @param {string} nick @param {string} credential */
function become(nick, credential) {
  Object.assign(me, { nick, credential, id: "", moderator: false });
  identity.nick = nick;
  identity.enter(name, nick);
}

function forget() {
  Object.assign(me, { nick: "", credential: "", id: "", moderator: false });
  identity.leave(name);
  composer.giveUp();
}

function becomeSpectator() {
  forget();
  joinForm.renaming = false;
  whoAmI();
  show();
}

/** @param {string} nick @param {string} credential @returns {Promise<string>} what is wrong */
async function join(nick, credential) {
  const refused = await link.become(...connectArgs(nick, credential));
  if (refused) return reason(refused);
  become(nick, credential);
  joinForm.credential.value = "";
  return "";
}

/** @param {string} nick @returns {Promise<string>} what is wrong */
async function changeNick(nick) {
  try {
    const shown = (await link.request("nick", nick)).nick;
    become(shown, me.credential);
    link.remember(...connectArgs(shown, me.credential));
    return "";
  } catch (err) {
    return inWords(explain(err));
  }
}

joinForm.join = join;
joinForm.rename = changeNick;
joinForm.onDone = () => {
  whoAmI();
  show();
  composer.box.focus();
};
joinForm.onChange = () => {
  show();
  if (!joinForm.renaming) composer.box.focus();
};
const rename = () => {
  view("chat");
  joinForm.change(true, me.nick);
};
const justWatch = async () => {
  view("chat");
  if (await link.become() === null) becomeSpectator();
  joinForm.box.focus();
};
people.onRename = rename;
people.onLeave = justWatch;
sayForm.querySelector(".rename").addEventListener("click", rename);
sayForm.querySelector(".leave").addEventListener("click", justWatch);
the(".with-pass").addEventListener("click", () => {
  view("chat");
  joinForm.withPass();
});

// News from the room

users.onSync = () => {
  people.update(users.data);
  whoAmI();
};

/** Finds us among the people, since the room decides what we may do. */
function whoAmI() {
  const mine = me.nick ? people.find(me.nick) : undefined;
  const moderator = mine?.role === "moderator";
  if (people.mine !== (mine?.id ?? "") || people.active !== (me.nick !== "") || me.moderator !== moderator) {
    Object.assign(me, { id: mine?.id ?? "", moderator });
    people.mine = me.id;
    people.active = me.nick !== "";
    people.draw();
    chat.remark();
    show();
  }
}

state.onSync = () => {
  const { title = "", topic = "", slow = 0, locked = false, recording, keep = { count: 0, days: 0 } } = state.data;
  the(".title").textContent = title || name;
  tabTitle.name(`${title || name} · foyer`);
  for (const part of document.querySelectorAll(".topic")) part.textContent = topic;
  streams.update(state.data);
  broadcasting.update(state.data.ingest);
  the(".lock").hidden = !locked;
  the(".recorded").hidden = !recording;
  composer.slow(slow);
  settings.update({ title, topic, slow, keep, locked, recording });
};

chat.isMine = ({ user }) => me.nick !== "" && (user.id === me.id || sameNick(user.nick, me.nick));
chat.onMenu = (message, id) => menu.open({ nick: message.user.nick, text: message.text, message: id }, { joined: me.nick !== "", moderator: me.moderator });
people.onMenu = ({ nick }) => menu.open({ nick }, { joined: true, moderator: me.moderator });
log.onPast = (messages, where) => {
  chat.addPast(messages, where);
  if (where === "below") noted(messages, opened);
  opened = true;
};
log.onMessage = (message) => {
  chat.add(message);
  noted([message], true);
};
/** Whether the history that a page begins with is there. */
let opened = false;

/** @param {import("./chatlog.js").Message[]} messages @param {boolean} fresh whether they were said since the page was opened */
function noted(messages, fresh) {
  const [ours, others] = [messages.filter(chat.isMine), messages.filter((message) => !chat.isMine(message))];
  for (const { text } of ours) composer.heard(text);
  if (fresh) tabTitle.came(others.length);
}

log.onRemoved = (key) => chat.remove(key);
log.onGap = (why) => chat.divide(why === "missing" ? "Some messages are missing here" : "The room was restarted, and messages may be missing here");
log.onMore = (more) => chat.more(more);
chat.onPruned = (key) => log.prunedTo(key);
the(".older button").addEventListener("click", () => log.older().catch(() => {}));

composer.say = (text, key) => link.request("say", text, { key });
menu.ask = settings.ask = broadcasting.ask = (method, ...args) => link.request(method, ...args);
menu.onMention = (nick) => nick ? composer.mention(nick) : composer.box.focus();
menu.onDone = tell;

// The page

/** Tells something to people who do not see it. @param {string} text */
function tell(text) { the(".told").textContent = text; }

function show() {
  const joined = me.nick !== "";
  joinForm.show(gone.hidden && (!joined || joinForm.renaming));
  sayForm.hidden = !gone.hidden || !joined || joinForm.renaming;
  for (const part of sayForm.querySelectorAll(".me")) part.textContent = me.nick;
  the(".elsewhere").hidden = joined || !gone.hidden;
  settings.root.hidden = !me.moderator;
  document.body.classList.toggle("moderating", me.moderator);
  broadcasting.use(me.moderator ? me.credential : "");
  linkState.ended = !gone.hidden;
  linkState.show();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) link.hurry(); });
keepFitting();

document.documentElement.classList.add("scripted");
addCopyButtons(the(".side"), tell);
showRecordings(the(".recordings"), name, (chosen) => recording.open(chosen));
joinForm.box.value = identity.nick;
const before = identity.inside(name);
if (before) {
  // The page was reloaded, or we were sent here: we still have our name.
  become(before, "");
  returning = true;
}
show();
if (before) link.start(...connectArgs(before, ""));
else link.start();
