import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import { App } from './app.tsx'
import './page.css'

const page = document.getElementById('page')
if (page === null) throw new TypeError('index.html has no element "page"')
render(<App />, page)
