import type { Component } from 'vue'
import type { RouteRecordRaw } from 'vue-router'

/** A page of a module: one route inside the layout, and its entry in the side menu. */
export interface ModulePage {
  /** Absolute path; also its address in the menu. */
  path: string
  title: string
  component: () => Promise<Component>
  /** Without it the page says so and the menu leaves it out. */
  permission?: string
}

/** A system of the back office: what its folder offers to the shell. */
export interface PageModule {
  name: string
  title: string
  icon: Component
  /** Place in the menu, smallest first. */
  order: number
  pages: ModulePage[]
  /** Something that is always in sight, in the header, for those who have the permission. */
  header?: { component: Component; permission?: string }
  /** Chinese names of its datasets by the service name in export events. */
  datasets?: Record<string, string>
}

declare module 'vue-router' {
  interface RouteMeta {
    /** Shown without a session. */
    public?: boolean
    permission?: string
    title?: string
    /** The module's title, the first step of the breadcrumb. */
    section?: string
  }
}

const found = import.meta.glob<{ default: PageModule }>('../modules/*/index.ts', { eager: true })

/** Every folder of src/modules, in the order of the menu. */
export const modules: readonly PageModule[] = Object.values(found)
  .map((file) => file.default)
  .sort((a, b) => a.order - b.order || a.name.localeCompare(b.name))

export const datasetTitles: Record<string, string> = Object.assign({}, ...modules.map((module) => module.datasets ?? {}))

export function moduleRoutes(list: readonly PageModule[] = modules): RouteRecordRaw[] {
  return list.flatMap((module) =>
    module.pages.map((page) => ({
      path: page.path,
      component: page.component,
      meta: { title: page.title, section: module.title, ...(page.permission ? { permission: page.permission } : {}) },
    })),
  )
}

/** The modules with the pages a person may open; those without any are left out. */
export function menuFor(can: (permission?: string) => boolean, list: readonly PageModule[] = modules): PageModule[] {
  return list
    .map((module) => ({ ...module, pages: module.pages.filter((page) => can(page.permission)) }))
    .filter((module) => module.pages.length > 0)
}
