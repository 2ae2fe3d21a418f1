import Lab
import PluginKit
import Support
import Testing

@testable import Striped
@testable import Tree

private func scenario(_ text: String) throws(FileError) -> Scenario {
  try Scenario(Array(text.utf8), file: "my/test.json5") { name, parameters throws(ParameterError) in
    switch name {
    case "tree": try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
    case "striped": try Striped(parameters: Parameters(parameters, declared: Striped.manifest.parameters))
    default: throw ParameterError("there is no topology '\(name)' here")
    }
  }
}

private func refusal(_ text: String) -> String {
  do throws(FileError) {
    _ = try scenario(text)
    return "accepted"
  } catch {
    return error.description
  }
}

/// A scenario with one more key.
private func with(_ more: String) -> String {
  "{ source: { upload: '4 r' }, peers: 10, groups: [{ upload: '2.2 r' }],\n \(more) }"
}

struct ScenarioTests {
  @Test func `What is not said is ordinary`() throws {
    let scenario = try scenario(with(""))
    #expect(scenario.name == "test")
    #expect(scenario.stream == Scenario.Stream())
    #expect(scenario.source == Access(upload: 8_000_000))
    #expect(scenario.groups == [Scenario.Group(access: Access(upload: 4_400_000))])
    #expect(scenario.count == 10 && scenario.churn == nil && scenario.happenings.isEmpty)
    #expect(scenario.weather == Weather() && scenario.phases == Scenario.Phases())
  }

  @Test func `Everything can be said`() throws {
    let scenario = try scenario(
      """
      {
        summary: "all", peers: 100,
        stream: { rate: "800 kbit/s", chunk: "16 KiB", window: "1 min", deadline: "2.5 s", entries: "500ms" },
        source: { upload: "unlimited", download: "1 Gbit/s", queue: "250 ms" },
        groups: [
          { name: "a", share: "20 %", upload: "6 r", nat: "restricted", behaviour: "freeRider" },
          { name: "b", share: 0.8, upload: "0.5 r", relays: false },
        ],
        latency: { matrix: [[0, "10 ms"], ["20 ms", "1 ms"]] },
        weather: { loss: 0.05, burst: 3, jitter: "5 ms" },
        churn: { life: { pareto: "60 s", shape: 1.5 }, graceful: "50 %", replaced: false },
        phases: { ramp: 0, settle: "1 s", measure: "30 s", drain: "2 s" },
        events: [
          { at: "2 s", crash: "30 %" }, { at: "3 s", leave: 0.1, over: "2 s" },
          { at: "4 s", arrive: 50, over: 0 }, { at: "5 s", partition: "25 %", for: "5 s" },
          { at: "6 s", source: "2 r" }, { at: "7 s", tide: "50 %", period: "10 s", for: "20 s" },
          { at: "8 s", swap: "striped:stripes=4,fanout=2" },
        ],
      }
      """
    )
    #expect(scenario.stream.rate == 800_000 && scenario.stream.chunkSize == 16384)
    #expect(
      scenario.stream.deadline == .milliseconds(2500) && scenario.stream.entryEvery == .milliseconds(500)
    )
    #expect(scenario.source == Access(upload: 0, download: 1_000_000_000, queue: .milliseconds(250)))
    #expect(scenario.groups[0].access == Access(upload: 4_800_000, nat: .restricted))
    #expect(scenario.groups[0].behaviour == .freeRider && !scenario.groups[1].relays)
    #expect(
      scenario.latency == .matrix([[.zero, .milliseconds(10)], [.milliseconds(20), .milliseconds(1)]])
    )
    #expect(scenario.weather == Weather(loss: 0.05, burst: 3, jitter: .milliseconds(5)))
    #expect(
      scenario.churn == Churn(life: .pareto(mean: .seconds(60), shape: 1.5), graceful: 0.5, isReplaced: false)
    )
    #expect(scenario.phases.end == .seconds(33))
    #expect(scenario.happenings.map(\.at) == (2...8).map { .seconds($0) })
    #expect(scenario.happenings[4].kind == .sourceUpload(1_600_000))
    #expect(scenario.happenings[5].end == .seconds(27))
    #expect(scenario.happenings[6].kind == .swap(to: .init("striped", parameters: "stripes=4,fanout=2")))
  }

  @Test(arguments: [
    ("{", "my/test.json5:1:1: this { has no }"), ("[]", "my/test.json5:1:1: a scenario is an object"),
    ("{}", "my/test.json5:1:1: a scenario needs the key 'source'"),
    (with("strem: {}"), "my/test.json5:2:2: unknown key 'strem' in a scenario; did you mean stream?"),
    (with("zzzz: {}"), "unknown key 'zzzz' in a scenario; possible are summary, stream,"),
    (with("stream: 3"), "my/test.json5:2:10: the stream is an object like { rate: … }, not a number"),
    (with("stream: { rate: 5 }"), "rate takes a rate like \"2 Mbit/s\" or \"800 kbit/s\", not 5"),
    (with("stream: { rate: '2 r' }"), "rate takes a rate like"),
    (with("stream: { rate: '2 Mbit' }"), "not '2 Mbit'"),
    (with("stream: { rate: '5 Gbit/s' }"), "rate takes 1 kbit/s to 1000 Mbit/s"),
    (with("stream: { chunk: 1 }"), "chunk takes 100 to 1048576 bytes, not 1"),
    (with("stream: { deadline: '1 min' }"), "the deadline is longer than the window"),
    (with("stream: { window: 5 }"), "window takes a time like \"250 ms\""),
    (with("stream: { window: '5 days' }"), "window takes a time"),
    (with("stream: { window: '1 ms' }"), "window takes 100 ms to 60 min, not '1 ms'"),
    (with("latency: { least: '5 ms' }"), "the latency needs the key 'greatest'"),
    (with("latency: { least: '5 ms', greatest: '1 ms' }"), "least latency is greater"),
    (
      with("latency: { matrix: [[0, 0], [0]] }"), "this row of the matrix has 1 entries, and there are 2 rows"
    ),
    (with("latency: { matrix: [[0]], least: 0 }"), "leave one out"),
    (with("weather: { loss: '200 %' }"), "loss takes a part of 0 to 1, or 0 % to 100 %, not '200 %'"),
    (with("weather: { burst: 0 }"), "burst takes a number of 1.0 to 1000.0"),
    (with("churn: { life: {} }"), "a life has one of the keys exponential, pareto, lognormal, trace"),
    (
      with("churn: { life: { exponential: '1 s', shape: 2 } }"),
      "the key 'shape' does not go with 'exponential'"
    ),
    (with("churn: { life: { pareto: '1 s' } }"), "a life needs the key 'shape'"),
    (with("churn: { life: { exponential: '1 ms' } }"), "exponential takes 1 s to 43200 min"),
    (with("phases: { measure: 0 }"), "measure takes 1 s to"),
    (with("events: [{ at: '5 s' }]"), "an event has one of the keys crash, leave"),
    (with("events: [{ crash: 1 }]"), "an event needs the key 'at'"),
    (with("events: [{ at: '5 s', crash: 1, over: '1 s' }]"), "the key 'over' does not go with 'crash'"),
    (
      with("events: [{ at: '5 s',\n swap: 'Tree' }]"),
      "my/test.json5:3:8: swap takes a topology like \"striped:stripes=4\", not 'Tree'"
    ),
    (
      with("events: [{ at: '5 s',\n swap: 'ring' }]"), "my/test.json5:3:8: there is no topology 'ring' here"
    ),
    (with("events: [{ at: '5 s', swap: 'tree:fan=2' }]"), "my/test.json5:2:30: there is no parameter 'fan'"),
    (with("events: [{ at: '5 s', swap: 'tree', over: '1 s' }]"), "the key 'over' does not go with 'swap'"),
    (with("events: [{ at: '100 s', crash: 1 }]"), "my/test.json5:2:11: this event is not over at 85 s"),
    (with("events: [{ at: '80 s', leave: 1, over: '10 s' }]"), "this event is not over at 85 s"),
    (with("events: [{ at: '9 s', crash: 1 }, { at: '8 s', crash: 1 }]"), "happens before the one"),
    (
      with("events: [{ at: '9 s', partition: 1, for: '9 s' }, { at: '10 s', partition: 1, for: '1 s' }]"),
      "before the one before it has healed"
    ),
    (
      "{ source: { upload: '4 r' }, peers: 0, groups: [{ upload: '1 r' }] }",
      "peers takes a whole number of 1 to"
    ),
    ("{ source: { upload: '4 r' }, peers: 9, groups: [] }", "groups takes 1 to 32 entries, not 0"),
    (
      "{ source: { upload: '4 r' }, peers: 9, groups: [{ share: '20 %', upload: '1 r' }, { share: 0.7, upload: '1 r' }] }",
      ":1:48: the shares of the groups add up to 90.0 %, and it must be 100 %"
    ),
    (
      "{ source: { upload: '4 r' }, peers: 9, groups: [{ upload: '1 r', behaviour: 'lier' }] }",
      "behaviour is never 'lier'; did you mean liar?"
    ),
    (
      "{ source: { uplaod: 1 }, peers: 9, groups: [] }",
      "unknown key 'uplaod' in the source; did you mean upload?"
    ),
  ]) func `What cannot be meant is one sentence with its place`(text: String, reason: String) {
    let sentence = refusal(text)
    #expect(sentence.contains(reason), "\(sentence)")
    #expect(!sentence.contains("\n"))
  }

  @Test(arguments: Library.names) func `A scenario that ships can be read, is explained and can be planned`(
    name: String
  ) throws {
    let scenario = try #require(try Library.scenario(name))
    #expect(scenario.name == name)
    #expect((20...120).contains(scenario.summary.count) && scenario.summary.last != ".")
    let text = String(decoding: try #require(Library.file(name)), as: UTF8.self)
    #expect(text.hasPrefix("// "))
    let plan = Plan(scenario, seed: 1)
    #expect(plan.peers.count > scenario.count)
    #expect(plan.changes.allSatisfy { $0.at < scenario.phases.end })
  }

  @Test func `Every file in the folder of scenarios ships`() throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let names = try run("ls", ["/\(root)/Sources/Lab/Scenarios/Files"]).text.split(separator: "\n")
    #expect(names.map(String.init) == Library.names.map { $0 + ".json5" }.sorted() && names.count == 13)
  }
}
