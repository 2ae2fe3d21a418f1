import Swarm
import Testing
import freshet

struct HelpTests {
  @Test(arguments: Command.all)
  func `Help of a command names all its options, operands and defaults`(command: Command) {
    let text = Help.text(command)
    // Wrapped texts are compared word by word.
    let words = text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
    for option in command.options {
      #expect(text.contains("--\(option.name)"))
      #expect(words.contains(option.summary))
      if let standard = option.standard { #expect(words.contains("(default \(standard))")) }
    }
    for operand in command.operands { #expect(words.contains("\(operand.name) \(operand.summary)")) }
    for line in text.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
  }

  @Test func `The overview names every command`() {
    for command in Command.all { #expect(Help.overview.contains(command.usage)) }
  }

  @Test func `Help is given however wrong the rest is`() throws {
    for arguments in [["broadcast", "--help"], ["broadcast", "--loup", "-h"], ["help", "broadcast"]] {
      guard case .help(let command) = try Invocation(arguments: arguments) else {
        Issue.record("\(arguments) is no help")
        continue
      }
      #expect(command.name == "broadcast")
    }
    guard case .help(let command) = try Invocation(arguments: ["help", "key", "generate"]) else {
      Issue.record("no help")
      return
    }
    #expect(command.name == "key generate")
  }

  @Test func `No option is declared twice for a command, and one name has one variable`() {
    for command in Command.all {
      #expect(Set(command.options.map(\.name)).count == command.options.count)
    }
    #expect(Set(Command.all.flatMap(\.options).map(\.variable)).allSatisfy { $0.hasPrefix("FRESHET_") })
  }
}
