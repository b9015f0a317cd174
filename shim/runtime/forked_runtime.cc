#include "shim/runtime/forked_runtime.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/process.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/spec/parse.h"
#include "shim/process/process_facts.h"

namespace berth::shim {
namespace {

constexpr int kChildHeap = 512 << 10;

std::vector<int> StreamsOf(const ProcessFds& fds) {
  return {fds.in.get(), fds.out.get(), fds.err.get()};
}

oci::ProcessIo IoOf(const ProcessFds& fds, const RuntimeOptions& options) {
  oci::ProcessIo io;
  if (!fds.terminal) {
    io.stdin_fd = fds.in.get();
    io.stdout_fd = fds.out.get();
    io.stderr_fd = fds.err.get();
  }
  io.sibling = true;
  io.no_new_keyring = options.no_new_keyring;
  return io;
}

void SendWarnings(const oci::Handshake& channel,
                  const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    // Advice that cannot be given is no reason to fail.
    channel.Send(oci::MessageType::kWarning, warning).IgnoreError();
  }
}

// Of a process that still waits for its start: "PID FACTS".
std::string BornText(pid_t pid) {
  return std::to_string(pid) + " " + SerializeFacts(ReadProcessFacts(pid));
}

StatusOr<StartedProcess> ParseBorn(const std::string& text) {
  const size_t space = std::min(text.find(' '), text.size());
  const std::optional<int64_t> pid = ParseInt(text.substr(0, space));
  if (!pid || space == text.size()) {
    return Internal("the runtime's process told no process");
  }
  StartedProcess process;
  process.pid = static_cast<pid_t>(*pid);
  ASSIGN_OR_RETURN(process.facts, ParseFacts(text.substr(space + 1)));
  return process;
}

// The rest of the child's life. The signals that the shim blocks are for its
// event loop; a container must not inherit that. Of the shim's descriptors
// only `streams` are the child's: a connection that it kept would look alive
// when the shim is dead.
[[noreturn]] void WorkAndExit(
    const oci::Handshake& channel, std::vector<int> streams,
    const std::function<StatusOr<StartedProcess>(const oci::Handshake&)>&
        work) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  streams.push_back(channel.fd());
  const Status closed = CloseAllBut(3, std::move(streams));
  // The shim's heap grows by little; a configuration would take tens of calls.
  mallopt(M_TOP_PAD, kChildHeap);
  const StatusOr<StartedProcess> result =
      closed.ok() ? work(channel) : StatusOr<StartedProcess>(closed);
  const Status sent = result.ok() ? channel.Send(oci::MessageType::kReady,
                                                 std::to_string(result->pid),
                                                 result->console.get())
                                  : channel.SendError(result.status());
  _exit(sent.ok() ? 0 : 1);
}

}  // namespace

ForkedRuntime::ForkedRuntime(EventLoop& loop, Reaper& reaper,
                             RuntimeOptions options)
    : loop_(loop), reaper_(reaper), options_(std::move(options)) {}

pid_t ForkedRuntime::Fork(const Work& work, std::vector<int> streams,
                          Answered done, Born born) {
  StatusOr<std::pair<oci::Handshake, oci::Handshake>> pair =
      oci::Handshake::Pair();
  // Kept: the child and its successors need not look for themselves.
  (void)oci::CgroupHost::Own().ok();
  const pid_t pid = pair.ok() ? fork() : -1;
  if (pid == 0) {
    pair->first.Close();
    WorkAndExit(pair->second, std::move(streams), work);
  }
  if (pid < 0) {
    const Status failed = pair.ok() ? Errno(errno, "fork") : pair.status();
    loop_.Defer([done = std::move(done), failed] { done(failed, false); });
    return 0;
  }
  reaper_.Expect();
  children_->insert(pid);
  // The child answers, and is reaped later: this may have ended by then.
  reaper_.Watch(pid, [children = children_, pid](const Reaper::Exit&) {
    children->erase(pid);
  });
  const auto channel = std::make_shared<oci::Handshake>(std::move(pair->first));
  const Status watched =
      loop_.Add(channel->fd(), EPOLLIN,
                [this, channel, done, born = std::move(born)](uint32_t) {
                  OnMessage(*channel, done, born);
                });
  if (!watched.ok()) {
    reaper_.Settle();
    loop_.Defer([done, watched] { done(watched, false); });
  }
  return pid;
}

void ForkedRuntime::OnMessage(const oci::Handshake& channel,
                              const Answered& done, const Born& born) {
  StatusOr<oci::HandshakeMessage> message = channel.Receive();
  if (message.ok() && message->type == oci::MessageType::kWarning) {
    fprintf(stderr, "warning: %s\n", message->text.c_str());
    return;
  }
  if (message.ok() && message->type == oci::MessageType::kBorn && born) {
    StatusOr<StartedProcess> process = ParseBorn(message->text);
    if (process.ok()) {
      process->console = std::move(message->fd);
      return born(*std::move(process));
    }
    message = process.status();
  }
  loop_.Remove(channel.fd());
  const auto result = [&]() -> StatusOr<StartedProcess> {
    RETURN_IF_ERROR(message.status());
    if (message->type == oci::MessageType::kError) {
      const Status error = oci::DecodeStatus(message->text);
      return error.ok() ? Internal("the runtime failed") : error;
    }
    const std::optional<int64_t> pid = ParseInt(message->text);
    if (message->type != oci::MessageType::kReady || !pid) {
      return Internal("the runtime's process died");
    }
    return StartedProcess{static_cast<pid_t>(*pid), std::move(message->fd), {}};
  };
  const bool died = message.ok() && message->type == oci::MessageType::kEnd;
  done(result(), died);
  reaper_.Settle();
}

oci::CreateOptions ForkedRuntime::OptionsOf(const std::string& id,
                                            const std::string& bundle,
                                            const ProcessFds& fds) const {
  oci::CreateOptions options;
  options.id = id;
  options.bundle = bundle;
  options.io = IoOf(fds, options_);
  options.no_pivot = options_.no_pivot_root;
  options.systemd_cgroup = options_.systemd_cgroup;
  return options;
}

void ForkedRuntime::Create(const std::string& id, const std::string& bundle,
                           ProcessFds fds, Started done) {
  creating_[id] = Fork(
      [&](const oci::Handshake& channel) -> StatusOr<StartedProcess> {
        ASSIGN_OR_RETURN(
            oci::Container container,
            oci::Container::Create(options_.root, OptionsOf(id, bundle, fds)));
        SendWarnings(channel, container.warnings());
        return StartedProcess{
            container.init_pid(), container.TakeConsole(), {}};
      },
      StreamsOf(fds),
      [this, id, done = std::move(done)](StatusOr<StartedProcess> result,
                                         bool died) {
        creating_.erase(id);
        if (!died) return done(std::move(result));
        // Nobody is left to undo what it had done.
        Delete(id, [done, failure = result.status()](const Status&) {
          done(failure);
        });
      });
}

void ForkedRuntime::Run(const std::string& id, const std::string& bundle,
                        ProcessFds fds, Started created, Done started) {
  const auto is_born = std::make_shared<bool>(false);
  creating_[id] = Fork(
      [&](const oci::Handshake& channel) -> StatusOr<StartedProcess> {
        oci::CreateOptions options = OptionsOf(id, bundle, fds);
        options.start_by_maker = true;
        ASSIGN_OR_RETURN(oci::Container container,
                         oci::Container::Create(options_.root, options));
        SendWarnings(channel, container.warnings());
        const UniqueFd console = container.TakeConsole();
        RETURN_IF_ERROR(channel.Send(oci::MessageType::kBorn,
                                     BornText(container.init_pid()),
                                     console.get()));
        RETURN_IF_ERROR(container.Start());
        return StartedProcess();
      },
      StreamsOf(fds),
      [this, id, is_born, created, started = std::move(started)](
          const StatusOr<StartedProcess>& result, bool died) {
        creating_.erase(id);
        if (*is_born) return started(result.status());
        if (!died) return created(result.status());
        // Nobody is left to undo what it had done.
        Delete(id, [created, failure = result.status()](const Status&) {
          created(failure);
        });
      },
      [is_born, created](StartedProcess process) {
        *is_born = true;
        created(std::move(process));
      });
}

void ForkedRuntime::Abort(const std::string& id) {
  const auto maker = creating_.find(id);
  if (maker == creating_.end() || children_->count(maker->second) == 0) return;
  kill(maker->second, SIGKILL);
}

void ForkedRuntime::Exec(const std::string& id, const std::string& process,
                         ProcessFds fds, Started done) {
  Fork(
      [&](const oci::Handshake& channel) -> StatusOr<StartedProcess> {
        ASSIGN_OR_RETURN_AS(oci::ProcessSpec spec, oci::ParseProcess(process),
                            "process");
        if (spec.terminal != fds.terminal) {
          return InvalidArgument("process.terminal and the streams differ");
        }
        oci::ExecOptions options;
        options.io = IoOf(fds, options_);
        ASSIGN_OR_RETURN(oci::Container container,
                         oci::Container::Load(options_.root, id));
        ASSIGN_OR_RETURN(oci::ExecResult result, container.Exec(spec, options));
        SendWarnings(channel, result.warnings);
        return StartedProcess{result.pid, std::move(result.console), {}};
      },
      StreamsOf(fds),
      [done = std::move(done)](StatusOr<StartedProcess> result, bool) {
        done(std::move(result));
      });
}

void ForkedRuntime::OnContainer(
    const std::string& id, const std::function<Status(oci::Container&)>& verb,
    Done done) {
  Fork(
      [&](const oci::Handshake&) -> StatusOr<StartedProcess> {
        ASSIGN_OR_RETURN(oci::Container container,
                         oci::Container::Load(options_.root, id));
        RETURN_IF_ERROR(verb(container));
        return StartedProcess();
      },
      {},
      [done = std::move(done)](const StatusOr<StartedProcess>& result, bool) {
        done(result.status());
      });
}

void ForkedRuntime::Start(const std::string& id, Done done) {
  OnContainer(
      id, [](oci::Container& container) { return container.Start(); },
      std::move(done));
}

void ForkedRuntime::Kill(const std::string& id, int signal, bool all,
                         Done done) {
  OnContainer(
      id,
      [=](oci::Container& container) { return container.Kill(signal, all); },
      std::move(done));
}

void ForkedRuntime::Freeze(const std::string& id, bool frozen, Done done) {
  OnContainer(
      id, [=](oci::Container& container) { return container.Freeze(frozen); },
      std::move(done));
}

void ForkedRuntime::Update(const std::string& id, const std::string& resources,
                           Done done) {
  OnContainer(
      id,
      [&](oci::Container& container) -> Status {
        ASSIGN_OR_RETURN_AS(const oci::Resources limits,
                            oci::ParseResources(resources), "resources");
        return container.Update(limits);
      },
      std::move(done));
}

void ForkedRuntime::Delete(const std::string& id, Done done) {
  const std::string& root = options_.root;
  Fork(
      [&](const oci::Handshake&) -> StatusOr<StartedProcess> {
        StatusOr<oci::Container> container = oci::Container::Load(root, id);
        if (container.ok()) {
          RETURN_IF_ERROR(container->Delete(true));
          return StartedProcess();
        }
        // Not made to the end, or not readable any more.
        RETURN_IF_ERROR(oci::Container::DeleteRemains(root, id));
        if (IsNotFound(container.status())) return container.status();
        return StartedProcess();
      },
      {},
      [done = std::move(done)](const StatusOr<StartedProcess>& result, bool) {
        done(result.status());
      });
}

}  // namespace berth::shim
