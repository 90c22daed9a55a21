// What mflow calls of NCCL, for ranks that are threads of one process and devices that are the CPU: see README.md. Messages
// are copied when a group ends; a group that waits for a message that nobody sends waits for ever, as with NCCL.
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {
using Result = int;
constexpr Result OK = 0, INVALID_ARGUMENT = 4, INVALID_USAGE = 5;

struct Id {
  char text[128];
};

// All ranks that have joined under one name.
struct World {
  int size = 0;
  std::set<int> joined;
  std::map<std::pair<int, int>, std::deque<std::string>> messages;
};

struct Comm {
  std::shared_ptr<World> world;
  int rank;
};

struct Message {
  Comm *comm;
  int peer;
  char *at;
  size_t bytes;
};

std::mutex mutex;
std::condition_variable changed;
std::map<std::string, std::shared_ptr<World>> worlds;
thread_local int depth = 0;
thread_local std::vector<Message> sends, receives;

size_t width(int type) { return type == 7 ? 4 : type == 8 ? 8 : 0; }

Result add(std::vector<Message> &to, const void *at, size_t count, int type, int peer, Comm *comm) {
  // Outside of a group NCCL would block; mflow has groups alone.
  if (depth != 1) return INVALID_USAGE;
  if (!width(type) || !comm || peer < 0 || peer >= comm->world->size) return INVALID_ARGUMENT;
  to.push_back({comm, peer, (char *)at, count * width(type)});
  return OK;
}
}  // namespace

API Result ncclGetUniqueId(Id *id) {
  static int last = 0;
  std::lock_guard lock(mutex);
  memset(id->text, 0, sizeof id->text);
  // Bytes of both signs, as names of NCCL have.
  snprintf(id->text, sizeof id->text, "rehearsal\x80\xff %d", ++last);
  return OK;
}

API Result ncclCommInitRank(Comm **comm, int size, Id id, int rank) {
  std::unique_lock lock(mutex);
  auto &world = worlds[std::string(id.text, sizeof id.text)];
  if (!world) world = std::make_shared<World>(), world->size = size;
  if (world->size != size || rank < 0 || rank >= size || !world->joined.insert(rank).second) return INVALID_ARGUMENT;
  changed.notify_all();
  changed.wait(lock, [&, world = world] { return (int)world->joined.size() == size; });
  *comm = new Comm{world, rank};
  return OK;
}

API Result ncclCommAbort(Comm *comm) {
  delete comm;
  return OK;
}

API Result ncclGroupStart() {
  depth++;
  return OK;
}

API Result ncclSend(const void *from, size_t count, int type, int peer, Comm *comm, void *) {
  return add(sends, from, count, type, peer, comm);
}

API Result ncclRecv(void *into, size_t count, int type, int peer, Comm *comm, void *) {
  return add(receives, into, count, type, peer, comm);
}

API Result ncclGroupEnd() {
  if (--depth) return INVALID_USAGE;
  std::unique_lock lock(mutex);
  for (const Message &m : sends) m.comm->world->messages[{m.comm->rank, m.peer}].emplace_back(m.at, m.bytes);
  changed.notify_all();
  for (const Message &m : receives) {
    auto &waiting = m.comm->world->messages[{m.peer, m.comm->rank}];
    changed.wait(lock, [&] { return !waiting.empty(); });
    if (waiting.front().size() != m.bytes) {
      fprintf(stderr, "rank %d expects %zu bytes of rank %d, which sends %zu\n", m.comm->rank, m.bytes, m.peer,
              waiting.front().size());
      abort();
    }
    memcpy(m.at, waiting.front().data(), m.bytes);
    waiting.pop_front();
  }
  sends.clear(), receives.clear();
  return OK;
}
