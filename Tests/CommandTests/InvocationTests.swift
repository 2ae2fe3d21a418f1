import Integrity
import Support
import Swarm
import Testing
import Wire
import freshet

private func refusal(_ arguments: [String], _ environment: [String: String] = [:], file: String? = nil)
  -> String?
{
  do throws(UsageError) {
    _ = try invocation(arguments, environment, file: file)
    return nil
  } catch {
    return error.description
  }
}

private func invocation(
  _ arguments: [String],
  _ environment: [String: String] = [:],
  file: String? = nil
) throws(UsageError) -> Invocation {
  try Invocation(arguments: arguments, environment: environment) { path throws(UsageError) in
    guard let file else { throw UsageError("no file was expected") }
    return try ConfigurationFile(Array(file.utf8), path: path)
  }
}

private func broadcast(
  _ arguments: [String],
  _ environment: [String: String] = [:],
  file: String? = nil
) throws -> BroadcastOptions {
  guard case .broadcast(let options) = try invocation(["broadcast"] + arguments, environment, file: file)
  else {
    throw UsageError("this is no broadcast")
  }
  return options
}

private func join(_ arguments: [String]) throws -> JoinOptions {
  guard case .join(let options) = try invocation(["join"] + arguments) else {
    throw UsageError("this is no join")
  }
  return options
}

struct InvocationTests {
  private let link: String

  init() throws {
    link = "ppspp://192.0.2.7:7574/\(try SwarmID([15] + Array(0..<32)))?cs=1316&cam=2&cipm=2&lsa=15&ldw=12000"
  }

  @Test func `A broadcast needs nothing but an input`() throws {
    let options = try broadcast(["game.mp4"])
    #expect(options.input == "game.mp4")
    #expect(options.listen.endpoint.description == "0.0.0.0:7574")
    #expect(options.topology == PluginChoice(name: "tree", parameters: ""))
    #expect(options.transport == PluginChoice(name: "udp", parameters: ""))
    #expect(options.key == nil)
    #expect(options.integrity == IntegrityChoice(method: .signAll))
    #expect(options.window == .seconds(30))
    #expect(options.chunkSize == 1316)
    #expect(!options.loops)
    #expect(options.common.duration == nil)
    #expect(options.common.maxUpload == nil)
    #expect(options.common.verbosity == .normal)
  }

  @Test func `Every option of a broadcast is read`() throws {
    let options = try broadcast([
      "--loop", "--listen=udp://[::]:80", "--advertise", "stream.example,[2001:db8::1]:9", "--topology",
      "tree:fanout=4,spares=1", "--transport", "udp", "--key", "k", "--integrity", "sign-all", "--window",
      "90s",
      "--chunk-size", "1128", "--max-upload", "1.5M", "--duration", "500ms", "--stats", "s", "--plugin",
      "a.so",
      "--plugin", "b.so", "--verbose", "-",
    ])
    #expect(options.input == "-")
    #expect(options.loops)
    #expect(options.listen.endpoint.description == "[::]:80")
    #expect(options.common.advertised.map(\.description) == ["stream.example:0", "[2001:db8::1]:9"])
    #expect(options.topology == PluginChoice(name: "tree", parameters: "fanout=4,spares=1"))
    #expect(options.key == "k")
    #expect(options.window == .seconds(90))
    #expect(options.chunkSize == 1128)
    #expect(options.common.maxUpload == 1_500_000)
    #expect(options.common.duration == .milliseconds(500))
    #expect(options.common.statistics == "s")
    #expect(options.common.plugins == ["a.so", "b.so"])
    #expect(options.common.verbosity == .verbose)
  }

  @Test func `Chunks vary in length on request`() throws {
    #expect(
      try broadcast(["-", "--chunk-size", "variable"]).chunkSize == WireFormat.variableChunkSize
    )
  }

  @Test func `Protection is left out on request only`() throws {
    #expect(try broadcast(["-", "--integrity", "none"]).integrity == IntegrityChoice(method: .none))
    #expect(throws: UsageError.self) { try broadcast(["-", "--integrity", ""]) }
  }

  @Test func `Every option of a viewer is read`() throws {
    let options = try join([
      link, "--output", "-", "--play", "--no-relay", "--listen", "udp://127.0.0.1:0", "--max-upload", "800k",
    ])
    #expect(options.link.description == link)
    #expect(options.output == .standardOutput)
    #expect(options.plays)
    #expect(!options.relays)
    #expect(options.listen?.endpoint.description == "127.0.0.1:0")
    #expect(options.common.maxUpload == 800_000)
    #expect(try join([link, "--output", "x.ts"]).output == .file("x.ts"))
    #expect(try join([link]).listen == nil)
  }

  @Test func `Words behind two dashes are operands`() throws {
    #expect(try broadcast(["--loop", "--", "--help"]).input == "--help")
  }

  @Test func `The last mention of an option counts`() throws {
    #expect(try broadcast(["a", "--window", "1s", "--window", "2s"]).window == .seconds(2))
    #expect(try broadcast(["a", "--loop", "--loop=no"]).loops == false)
  }

  @Test func `The scheme of the listening address chooses the transport`() throws {
    #expect(try broadcast(["a", "--listen", "tcp://0.0.0.0:1"]).transport.name == "tcp")
    #expect(try broadcast(["a", "--transport", "tcp"]).transport.name == "tcp")
    #expect(
      refusal(["broadcast", "a", "--listen", "tcp://0.0.0.0:1", "--transport", "udp"])?.contains("leave one")
        == true
    )
  }

  @Test func `The command line counts before the environment, and that before the file`() throws {
    let file = "{ window: '3s', 'chunk-size': 188, loop: true, plugin: ['a.so', 'b.so'], output: 'for join' }"
    let environment = [
      "FRESHET_WINDOW": "2s", "FRESHET_CONFIG": "c", "FRESHET_CHUNK_SIZE": "376", "HOME": "/",
    ]
    let options = try broadcast(["x", "--window", "1s"], environment, file: file)
    #expect(options.window == .seconds(1))
    #expect(options.chunkSize == 376)
    #expect(options.loops)
    #expect(options.common.plugins == ["a.so", "b.so"])
    #expect(try broadcast(["x", "--config", "c"], file: file).window == .seconds(3))
    #expect(try broadcast(["x"], ["FRESHET_PLUGIN": "a.so:b.so"]).common.plugins == ["a.so", "b.so"])
    #expect(try broadcast(["x"], ["FRESHET_WINDOW": "", "FRESHET_PLUGIN_PATH": "/p"]).window == .seconds(30))
  }

  @Test(arguments: [
    ("[1]", "is not one object"), ("{", "is not valid JSON5"),
    ("{\n  widnow: 1 }", "unknown key 'widnow' in c:2:3; did you mean window?"),
    ("{ window: [1] }", "window in c:1:11: write one"), ("{ window: {} }", "window in c:1:11: write one"),
    ("{ window: 'x' }", "window in c: 'x' is no time"), ("{ loop: 'x' }", "loop in c: 'x' is neither"),
    ("{ plugin: [[1]] }", "several in brackets"), ("{ config: 'd' }", "unknown key 'config'"),
    ("", "is not valid JSON5"),
  ]) func `A configuration file that cannot be meant is refused`(file: String, reason: String) {
    let sentence = refusal(["broadcast", "a", "--config", "c"], file: file)
    #expect(sentence?.contains(reason) == true, "\(sentence ?? "accepted")")
  }

  @Test func `A value may begin with a dash, as one key in 64 does`() throws {
    let key = "-" + String(repeating: "A", count: 42)
    guard
      case .members(.issue(let options)) = try Invocation(
        arguments: ["ca", "issue", "club", "--name", "bob", "--public-key", key]
      )
    else {
      Issue.record("no certificate is to be issued")
      return
    }
    #expect(options.publicKey?.first == 0xF8)
  }

  @Test(arguments: [
    (["brodcast"], "did you mean broadcast?"),
    (["xyz"], "'freshet help' lists them"),
    (["--loop", "broadcast"], "the command comes first"),
    (["ppspp://x"], "freshet join"),
    (["help", "jion"], "did you mean join?"),
    (["key", "make"], "only 'key generate'"),
    (["key"], "needs FILE"),
    (["broadcast"], "needs INPUT"),
    (["broadcast", "a", "b"], "'b' is one argument too many"),
    (["broadcast", "a", "--loup"], "unknown option --loup; did you mean --loop?"),
    (["broadcast", "a", "--max-uplaod", "1"], "did you mean --max-upload?"),
    (["broadcast", "a", "-l"], "unknown option -l"),
    (["broadcast", "a", "--"], ""),
    (["broadcast", "a", "--play"], "--play is an option of 'join'"),
    (["broadcast", "a", "--window"], "--window needs a value: write --window TIME"),
    (["broadcast", "a", "--window", "--loop"], "--window needs a value"),
    (["broadcast", "a", "--window", "30x"], "--window: '30x' is no time"),
    (["broadcast", "a", "--window", "100ms"], "1s to 1h"),
    (["broadcast", "a", "--duration", "99999999999999999999h"], "is no time"),
    (["broadcast", "a", "--max-upload", "20Q"], "is no rate"),
    (["broadcast", "a", "--max-upload", "-1"], "'-1' is no rate"),
    (["broadcast", "a", "--max-upload", "1e9"], "is no rate"),
    (["broadcast", "a", "--max-upload", "99999999G"], "is no rate"),
    (["broadcast", "a", "--chunk-size", "1000"], "multiple of 188"),
    (["broadcast", "a", "--chunk-size", "1000"], "or variable"),
    (["broadcast", "a", "--chunk-size", "variable", "--addressing", "byte-ranges-64"], "exclude each other"),
    (["seed", "a", "--chunk-size", "variable"], "which all its chunks have"),
    (["broadcast", "a", "--integrity", "merkle"], "write sign-all"),
    (["broadcast", "a", "--integrity", "unified-merkle:7"], "2, 4, 8, 16 or 32"),
    (["broadcast", "a", "--addressing", "chunks"], "bins-32"),
    (["broadcast", "a", "--topology", "Tree"], "names no plugin"),
    (["broadcast", "a", "--listen", "udp://"], "no HOST:PORT"),
    (["broadcast", "a", "--advertise", "0.0.0.0:1"], "nobody can be reached"),
    (["broadcast", "a", "--stats", "-"], "not the name of a file"),
    (["broadcast", "a", "--loop=perhaps"], "neither yes nor no"),
    (["broadcast", "a", "--quiet", "--verbose"], "exclude each other"),
    (["broadcast", ""], "has no name"),
    (["join", "x"], "begins with ppspp://"),
    (["join", "LINK", "--no-relay"], "nothing to do"),
    (["key", "generate", "f", "--algorithm", "7"], "is no signature algorithm"),
    (["plugins", "x"], "one argument too many"),
  ]) func `What cannot be meant is refused with a sentence`(arguments: [String], reason: String) {
    let arguments = arguments.map { $0 == "LINK" ? link : $0 }
    let sentence = refusal(arguments)
    #expect(sentence?.contains(reason) ?? reason.isEmpty, "\(sentence ?? "accepted")")
    #expect(sentence?.contains("\n") != true)
  }

  @Test func `An unknown variable of ours is refused`() {
    #expect(
      refusal(["broadcast", "a"], ["FRESHET_LOUP": "1"])?.contains("did you mean FRESHET_LOOP?") == true
    )
    #expect(refusal(["broadcast", "a"], ["FRESHET_WINDOW": "x"])?.hasPrefix("FRESHET_WINDOW: 'x'") == true)
  }

  @Test(arguments: 0..<64 as Range<UInt64>)
  func `Random words never trap`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let options = Command.all.flatMap(\.options)
    let words =
      options.map { "--\($0.name)" } + [
        "--", "-", "", "=", "--=", "--x=y", link, "1", "é", "30s", "help", "\u{0}",
      ]
    for _ in 0..<200 {
      let first = (Command.all.map { $0.name.split(separator: " ").map(String.init) }).randomElement(
        using: &random
      )
      let rest = (0..<Int.random(in: 0...6, using: &random)).compactMap { _ in
        words.randomElement(using: &random)
      }
      _ = refusal((first ?? []) + rest)
    }
  }
}
