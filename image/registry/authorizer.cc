#include "image/registry/authorizer.h"

#include <utility>

#include "base/base64.h"
#include "base/json.h"
#include "base/strings.h"

namespace berth::image {
namespace {

constexpr uint64_t kMaxTokenReply = 1 << 20;
constexpr char kClientId[] = "berth";

// Reads a header's text from left to right.
class ChallengeParser {
 public:
  explicit ChallengeParser(std::string_view text) : text_(text) {}

  std::vector<Challenge> Run() {
    std::vector<Challenge> all;
    while (true) {
      SkipSeparators();
      if (text_.empty()) return all;
      const std::string word = Token();
      if (word.empty()) {  // not even a token: pass over it
        text_.remove_prefix(1);
        continue;
      }
      SkipBlanks();
      if (StartsWith(text_, "=") && !all.empty()) {
        text_.remove_prefix(1);
        SkipBlanks();
        all.back().parameters[Lower(word)] = Value();
      } else {
        all.push_back({Lower(word), {}});
      }
    }
  }

 private:
  void SkipBlanks() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\t')) {
      text_.remove_prefix(1);
    }
  }
  void SkipSeparators() {
    while (!text_.empty() &&
           (text_[0] == ' ' || text_[0] == '\t' || text_[0] == ',')) {
      text_.remove_prefix(1);
    }
  }
  std::string Token() {
    const size_t end = text_.find_first_of(" \t,=\"");
    const std::string token(text_.substr(0, end));
    text_.remove_prefix(token.size());
    return token;
  }
  std::string Value() {
    if (!StartsWith(text_, "\"")) return Token();
    text_.remove_prefix(1);
    std::string value;
    while (!text_.empty() && text_[0] != '"') {
      if (text_[0] == '\\' && text_.size() > 1) text_.remove_prefix(1);
      value += text_[0];
      text_.remove_prefix(1);
    }
    if (!text_.empty()) text_.remove_prefix(1);
    return value;
  }

  std::string_view text_;
};

Status Unauthorized(const std::string& what) {
  return Error(StatusCode::kUnauthenticated, "unauthorized: " + what);
}

const std::string& ParameterOf(const Challenge& challenge,
                               const std::string& name) {
  static const auto* const none = new std::string;
  const auto it = challenge.parameters.find(name);
  return it == challenge.parameters.end() ? *none : it->second;
}

// The server has no OAuth 2 form: what Google's, Artifactory's (401), Azure's
// (400) and others answer then.
bool LacksPost(int status) {
  return status == 404 || status == 405 || status == 400 || status == 401 ||
         status == 501;
}

}  // namespace

std::vector<Challenge> ParseChallenges(std::string_view header) {
  return ChallengeParser(header).Run();
}

std::string Authorizer::HeaderFor(const RegistryHost& host) {
  MutexLock lock(mutex_);
  const auto it = headers_.find(host.api);
  return it == headers_.end() ? "" : it->second;
}

Status Authorizer::Answer(const Context& ctx, const RegistryHost& host,
                          const HttpResponse& refusal,
                          const std::string& used) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   fetching_.Acquire(ctx, host.api));
  if (HeaderFor(host) != used) return OkStatus();  // another thread has got one
  ASSIGN_OR_RETURN(std::string header, NewHeader(ctx, host, refusal, used));
  MutexLock headers_lock(mutex_);
  headers_[host.api] = std::move(header);
  return OkStatus();
}

StatusOr<std::string> Authorizer::NewHeader(const Context& ctx,
                                            const RegistryHost& host,
                                            const HttpResponse& refusal,
                                            const std::string& used) {
  std::vector<Challenge> challenges;
  for (const std::string& text : refusal.HeaderAll("www-authenticate")) {
    for (Challenge& one : ParseChallenges(text)) {
      challenges.push_back(std::move(one));
    }
  }
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme != "bearer") continue;
    // A token that has just been refused: a fresh one, once, as it may have
    // expired; the caller counts.
    ASSIGN_OR_RETURN(const std::string token, FetchToken(ctx, host, challenge));
    return "Bearer " + token;
  }
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme != "basic") continue;
    const Credential& credential = host.credential;
    if (!credential.has_password()) {
      return Unauthorized("the registry wants a user and password");
    }
    std::string header = "Basic " + Base64Encode(credential.username + ":" +
                                                 credential.password);
    if (header == used) return Unauthorized("wrong user or password");
    return header;
  }
  return Unauthorized("the registry refuses and does not say what it wants");
}

StatusOr<std::string> Authorizer::FetchToken(const Context& ctx,
                                             const RegistryHost& host,
                                             const Challenge& challenge) {
  Credential credential = host.credential;
  if (!credential.registry_token.empty()) return credential.registry_token;
  HttpRequest request;
  request.max_body = kMaxTokenReply;
  request.url = ParameterOf(challenge, "realm");
  ASSIGN_OR_RETURN_AS(const Url realm, Url::Parse(request.url),
                      "token server of " + host.api);
  const StatusOr<Url> api = Url::Parse(host.api);
  if (realm.scheme == "http" && !host.insecure()) credential = Credential();
  if (api.ok() && realm.host == api->host) request.tls = host.tls;
  // Its own CAs are likely to have signed the token server, too; its client
  // certificate is for itself.
  request.tls.ca_files = host.tls.ca_files;
  request.tls.skip_verify = host.tls.skip_verify;
  const std::string service = ParameterOf(challenge, "service");

  StatusOr<HttpResponse> reply = Unavailable("not asked");
  bool asked = false;
  if (credential.has_password() || !credential.identity_token.empty()) {
    reply = AskByPost(ctx, request, service, credential);
    asked = reply.ok() &&
            (!LacksPost(reply->status) || !credential.identity_token.empty());
    if (!reply.ok()) return reply.status();
  }
  if (!asked) {
    request.url += (request.url.find('?') == std::string::npos ? "?" : "&");
    request.url += "service=" + UrlEncode(service);
    for (const std::string& scope : Split(scope_, ' ')) {
      request.url += "&scope=" + UrlEncode(scope);
    }
    if (credential.has_password()) {
      request.headers.emplace_back(
          "Authorization", "Basic " + Base64Encode(credential.username + ":" +
                                                   credential.password));
    }
    reply = http_.Fetch(ctx, request);
  }
  RETURN_IF_ERROR_AS(reply.status(), "get token");
  if (reply->status >= 500) {
    return Unavailable("token server " + realm.Printable() + " answers " +
                       std::to_string(reply->status));
  }
  if (reply->status != 200) {
    return Unauthorized("token server " + realm.Printable() + " answers " +
                        std::to_string(reply->status));
  }
  ASSIGN_OR_RETURN(const Json json, ParseJson(reply->body, "token reply"));
  std::string token;
  std::string access_token;
  JsonReader reader(json, "token reply");
  reader.Get("token", token);
  reader.Get("access_token", access_token);
  RETURN_IF_ERROR(reader.status());
  if (!access_token.empty()) token = access_token;
  if (token.empty()) return Unauthorized("the token server gave no token");
  return token;
}

StatusOr<HttpResponse> Authorizer::AskByPost(const Context& ctx,
                                             HttpRequest request,
                                             const std::string& service,
                                             const Credential& credential) {
  request.method = "POST";
  request.max_redirects = 0;  // a form with a password is not passed on
  request.headers.emplace_back("Content-Type",
                               "application/x-www-form-urlencoded");
  request.body = "service=" + UrlEncode(service) +
                 "&scope=" + UrlEncode(scope_) + "&client_id=" + kClientId;
  if (!credential.identity_token.empty()) {
    request.body += "&grant_type=refresh_token&refresh_token=" +
                    UrlEncode(credential.identity_token);
  } else {
    request.body +=
        "&grant_type=password&username=" + UrlEncode(credential.username) +
        "&password=" + UrlEncode(credential.password);
  }
  return http_.Fetch(ctx, request);
}

}  // namespace berth::image
