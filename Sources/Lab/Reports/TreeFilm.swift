/// Who fed whom in one run, to be watched.
package struct TreeFilm: Sendable {
  /// What changed at a time.
  package struct Change: Hashable, Sendable {
    /// Since the start, in nanoseconds.
    package var time: Int64
    package var peer: Int
    package var kind: Kind

    package enum Kind: Hashable, Sendable {
      case joined
      case left
      /// Who feeds its first stripe from now on; `nil` when nobody does.
      case parent(Int?)
    }

    package init(time: Int64, peer: Int, kind: Kind) {
      self.time = time
      self.peer = peer
      self.kind = kind
    }
  }

  /// More changes than these make no film that a page can carry.
  package static let limit = 20_000

  package let title: String
  package let places: [Plan.Place]
  package let changes: [Change]
  /// The length of the run in nanoseconds.
  package let length: Int64

  /// The film of a composition's run.
  init(_ composition: String, _ plan: Plan, changes: [Change]) {
    self.init(
      title: "\(composition), seed \(plan.seed)",
      places: plan.peers.map(\.place),
      changes: changes,
      length: plan.scenario.phases.end.nanoseconds
    )
  }

  package init(title: String, places: [Plan.Place], changes: [Change], length: Int64) {
    self.title = title
    self.places = places
    self.changes = Array(changes.prefix(Self.limit))
    self.length = length
  }

  /// Three for each change: milliseconds, the peer, and its parent; -1 for none, -2 when it joined and -3 when it left.
  var numbers: String {
    changes.map { change -> String in
      let kind =
        switch change.kind {
        case .joined: -2
        case .left: -3
        case .parent(let parent): parent ?? -1
        }
      return "\(change.time / 1_000_000),\(change.peer),\(kind)"
    }.joined(separator: ",")
  }

  /// What ``numbers`` said; `nil` when they are no changes of so many peers.
  static func changes(_ numbers: [Int], peers: Int) -> [Change]? {
    guard numbers.count % 3 == 0, numbers.count <= 3 * limit else { return nil }
    var changes: [Change] = []
    for index in stride(from: 0, to: numbers.count, by: 3) {
      let (time, peer) = (numbers[index], numbers[index + 1])
      guard 0..<peers ~= peer, 0...86_400_000 ~= time else { return nil }
      let kind: Change.Kind
      switch numbers[index + 2] {
      case -3: kind = .left
      case -2: kind = .joined
      case -1: kind = .parent(nil)
      case 0..<peers: kind = .parent(numbers[index + 2])
      default: return nil
      }
      changes.append(Change(time: Int64(time) * 1_000_000, peer: peer, kind: kind))
    }
    return changes
  }

  /// A part of a page with a canvas, the numbers, and the script that draws them; `number` tells it from others.
  func figure(_ number: Int) -> String {
    let points = places.map { "\(Int($0.x * 1000)),\(Int($0.y * 1000))" }.joined(separator: ",")
    return """
      <h3>\(Report.escaped(title))</h3>
      <figure id="film\(number)"><canvas width="1800" height="1100"></canvas>
      <p><button>Pause</button> <span></span></p></figure>
      <script>
      (() => {
      const f=document.getElementById('film\(number)'),p=[\(points)],
      c=[\(numbers)],end=\(length / 1_000_000);
      \(Self.player)
      })();
      </script>
      """
  }

  private static let player = """
    const canvas=f.querySelector('canvas'),g=canvas.getContext('2d'),n=p.length/2;
    const X=i=>canvas.width/2+p[2*i]/1000*(canvas.width*.3+220),Y=i=>canvas.height/2-p[2*i+1]/1000*(canvas.height/2-40);
    let alive,parent,at,time,running=true,last=0;
    const reset=()=>{alive=new Uint8Array(n);parent=new Int32Array(n).fill(-1);at=0;time=0};
    const advance=to=>{for(;at<c.length&&c[at]<=to;at+=3){const w=c[at+1],k=c[at+2];
    if(k===-2)alive[w]=1;else if(k===-3){alive[w]=0;parent[w]=-1}else parent[w]=k}time=to};
    const depth=i=>{let d=0;while(i>0&&d<40){i=parent[i];d++}return i===0?d:-1};
    const draw=()=>{g.clearRect(0,0,canvas.width,canvas.height);g.lineWidth=1.5;
    for(let i=1;i<n;i++){if(!alive[i]||parent[i]<0||!alive[parent[i]])continue;const d=depth(i);
    g.strokeStyle=`hsl(205 75% ${Math.min(82,24+d*9)}%)`;g.beginPath();g.moveTo(X(parent[i]),Y(parent[i]));g.lineTo(X(i),Y(i));g.stroke()}
    for(let i=0;i<n;i++){if(!alive[i])continue;const d=i?depth(i):0;
    g.fillStyle=i===0?'#000':d<0?'#c62828':`hsl(205 75% ${Math.min(78,20+d*9)}%)`;
    g.beginPath();g.arc(X(i),Y(i),i?6:13,0,7);g.fill()}
    f.querySelector('span').textContent=(time/1000).toFixed(1)+' s'};
    reset();
    f.querySelector('button').onclick=e=>{running=!running;e.target.textContent=running?'Pause':'Play';last=0;if(running)requestAnimationFrame(step)};
    const step=now=>{if(!running)return;if(last)advance(time+(now-last)*10);last=now;if(time>=end)reset();draw();requestAnimationFrame(step)};
    requestAnimationFrame(step);
    """
}
