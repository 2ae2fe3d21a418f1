import Glibc
import Node
import Swarm
import Text

/// Tells the user and the statistics file what a running peer says.
struct Reporter: ~Copyable {
  private let isSource: Bool
  private var console: Console
  private var file: StatisticsFile?
  private var hasBegun = false
  private var hasFirstFrame = false
  private var fetch = FetchLine()

  init(isSource: Bool, _ options: CommonOptions) throws(CommandError) {
    self.isSource = isSource
    console = Console(isSource: isSource, verbosity: options.verbosity)
    if let path = options.statistics { file = try StatisticsFile.create(path) }
  }

  mutating func take(_ event: NodeEvent) {
    switch event {
    case .link(let link):
      hasBegun = true
      if let code = Descriptor.write("\(link)\n", to: STDOUT_FILENO) {
        console.warn("the link cannot be printed (\(unsafe String(cString: strerror(code)))): \(link)")
      }
      console.say(
        link.root == nil
          ? "watch it with: freshet join '\(link)' --play" : "fetch it with: freshet fetch '\(link)'"
      )
    case .sentence(let text): console.say(text)
    case .detail(let text): console.detail(text)
    case .warning(let text): console.warn(text)
    case .statistics(let statistics):
      if !isSource, statistics.chunksIn > 0 { hasBegun = true }
      tellFirstFrame(statistics)
      write(statistics)
      console.show(statistics)
    case .hashing(let path, let part):
      console.show(terminal: "reading '\(path)': \(Number.fixed(part * 100, decimals: 0)) %")
    case .progress(let progress, let statistics):
      hasBegun = true
      write(statistics)
      fetch.update(progress, statistics)
      console.show(terminal: fetch.text, log: fetch.text, at: statistics.timeMilliseconds)
    case .summary(let statistics):
      if !isSource, statistics.chunksIn > 0 { hasBegun = true }
      tellFirstFrame(statistics)
      write(statistics)
      console.finish()
      if hasBegun { console.say(summary(statistics)) }
    }
  }

  private mutating func write(_ statistics: Statistics) {
    if let sentence = file?.append(statistics) { console.warn(sentence) }
  }

  private mutating func tellFirstFrame(_ statistics: Statistics) {
    guard !hasFirstFrame, let time = statistics.firstFrameMilliseconds else { return }
    hasFirstFrame = true
    let length = statistics.firstFrameBytes.map { " (\(UInt64(clamping: $0).grouped) bytes)" } ?? ""
    console.say("first frame after \(Number.fixed(time, decimals: 0)) ms" + length)
  }

  private func summary(_ now: Statistics) -> String {
    var parts = ["sent \(now.chunksOut.grouped) chunks"]
    if !isSource {
      parts.insert("received \(now.chunksIn.grouped) chunks", at: 0)
      parts.append("lost \(now.lost.grouped), repaired \(now.repaired.grouped)")
    }
    parts.append("rejected \(now.rejected.grouped)")
    if let hop = now.hopMedianMicroseconds, !isSource {
      parts.append("passed on within \(Number.fixed(hop / 1000, decimals: 2)) ms")
    }
    return "done: " + parts.joined(separator: ", ")
  }
}
