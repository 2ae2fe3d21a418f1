import Glibc
import Support
import Testing

/// The real program, as its users start it.
struct ProcessTests {
  @Test func `It introduces itself`() throws {
    let overview = try run(built("freshet"))
    #expect(overview.status == 0)
    #expect(overview.text.contains("freshet join"))
    #expect(overview.errors == "")
    let version = try run(built("freshet"), ["--version"]).text
    #expect(version.hasPrefix("freshet 0."))
    #expect(try run(built("freshet"), ["version"]).text == version)
  }

  @Test func `It starts without the hundred libraries that only devices need`() throws {
    let libraries = try run("ldd", [built("freshet")]).text
    #expect(libraries.contains("libavformat"))
    #expect(!libraries.contains("libavdevice"))
  }

  @Test func `What it cannot mean is one line on standard error and exit 64`() throws {
    let result = try run(built("freshet"), ["broadcast", "a", "--loup"])
    #expect(result.status == 64)
    #expect(result.output == [])
    #expect(result.errors == "freshet: unknown option --loup; did you mean --loop?\n")
  }

  @Test func `A missing configuration file is one line and exit 64`() throws {
    let result = try run(built("freshet"), ["broadcast", "a"], environment: ["FRESHET_CONFIG": "/nowhere/x"])
    #expect(result.status == 64)
    #expect(
      result.errors == "freshet: the configuration /nowhere/x cannot be read: No such file or directory\n"
    )
  }

  @Test func `A key is made once and never overwritten`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("my.key")
    let made = try run(built("freshet"), ["key", "generate", path, "--algorithm", "15"])
    #expect(made.status == 0)
    #expect(made.text.contains("Ed25519"))
    var status = stat()
    #expect(unsafe stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    let again = try run(built("freshet"), ["key", "generate", path])
    #expect(again.status == 1)
    #expect(again.errors.hasPrefix("freshet: \(path) exists"))
  }

  @Test func `A closed standard output is a failure, not a trap`() throws {
    var program = try Program("/bin/sh", ["-c", "exec \"$0\" help > /dev/full", built("freshet")])
    #expect(try program.line() == nil)
    #expect(try program.wait() == 1)
    #expect(program.complaint == "freshet: standard output cannot be written: No space left on device\n")
  }
}
