// Puts what vite has built into dist, the folder that the Go side embeds: the page, a .gz beside each file that gains by
// it, and the stock Faye client for the server to hand out. New files come before index.html names them and old ones go
// last, so a Go build that runs meanwhile never sees an empty folder or a page without its assets.
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const built = join(root, '.build')
const dist = join(root, 'dist')
const faye = join(root, 'node_modules', 'faye', 'client')
const fayeFiles = ['faye-browser-min.js', 'faye-browser-min.js.map', 'faye-browser.js', 'faye-browser.js.map']
const compressible = /\.(?:js|css|html|svg|json)$/
const smallestWorthIt = 1024

const squeeze = promisify(gzip)

async function filesUnder(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
}

async function write(name, data) {
  const target = join(dist, name)
  await mkdir(dirname(target), { recursive: true })
  const part = join(built, '.part') // outside dist: what is half written must not be embedded
  await writeFile(part, data)
  await rename(part, target)
}

const wanted = new Set(['.keep'])
const names = (await filesUnder(built)).sort((a, b) => Number(a === 'index.html') - Number(b === 'index.html'))
if (!names.includes('index.html')) throw new Error(`nothing was built into ${built}`)

for (const name of fayeFiles) {
  await write(join('faye', name), await readFile(join(faye, name)))
  wanted.add(join('faye', name))
}
let plainBytes = 0
let gzipBytes = 0
for (const name of names) {
  const data = await readFile(join(built, name))
  if (compressible.test(name) && data.length >= smallestWorthIt) {
    const small = await squeeze(data, { level: constants.Z_BEST_COMPRESSION })
    await write(`${name}.gz`, small)
    wanted.add(`${name}.gz`)
    gzipBytes += small.length
  } else {
    gzipBytes += data.length
  }
  plainBytes += data.length
  await write(name, data)
  wanted.add(name)
}
for (const name of await filesUnder(dist)) {
  if (!wanted.has(name)) await rm(join(dist, name))
}
const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`
console.log(`dist: ${wanted.size} files, page ${kib(plainBytes)}, compressed ${kib(gzipBytes)}`)
