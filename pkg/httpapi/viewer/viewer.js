"use strict";

// Shows /api/openapi.json: operations by tag, each with its parameters, body, responses and an example of every schema.
// Text from the description only ever becomes text nodes.

(() => {
  const METHODS = ["get", "post", "put", "patch", "delete", "head"];
  const MAX_DEPTH = 8;
  let spec;

  function el(tag, props, ...children) {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
    return node;
  }

  function resolve(value) {
    for (let n = 0; value && value.$ref && n < MAX_DEPTH; n++) {
      value = value.$ref.slice(2).split("/").reduce((at, key) => at && at[key], spec);
    }
    return value || {};
  }

  function typeName(schema) {
    if (schema.$ref) return schema.$ref.split("/").pop();
    if (schema.anyOf || schema.oneOf) return (schema.anyOf || schema.oneOf).map(typeName).join(" | ");
    const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
    return type.startsWith("array") ? type + " of " + typeName(schema.items || {}) : type;
  }

  // rules tells a schema's limits in one line.
  function rules(schema) {
    const out = [];
    const s = schema.items && schema.type === "array" ? { ...schema, ...pick(schema.items) } : schema;
    if (s.enum) out.push(s.enum.join("、"));
    if (s.format) out.push(s.format);
    if (s.minimum !== undefined) out.push("≥ " + s.minimum);
    if (s.maximum !== undefined) out.push("≤ " + s.maximum);
    if (s.minLength !== undefined) out.push("至少 " + s.minLength + " 字");
    if (s.maxLength !== undefined) out.push("最多 " + s.maxLength + " 字");
    if (s.maxItems !== undefined) out.push("最多 " + s.maxItems + " 项");
    if (s.pattern) out.push(s.patternDescription || s.pattern);
    if (s.default !== undefined) out.push("默认 " + JSON.stringify(s.default));
    if (s.examples && s.examples.length) out.push("如 " + JSON.stringify(s.examples[0]));
    return out.join("；");
  }

  function pick(items) {
    const { enum: choices, format, minimum, maximum } = items;
    return Object.fromEntries(Object.entries({ enum: choices, format, minimum, maximum }).filter(([, v]) => v !== undefined));
  }

  function table(heads, rows) {
    return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", {}, h)))), el("tbody", {}, ...rows));
  }

  function row(name, required, schema, where, description) {
    const label = el("td", {}, name);
    if (required) label.append(el("span", { className: "required", title: "必填" }, " *"));
    return el("tr", {}, label, el("td", {}, where), el("td", {}, typeName(schema)),
      el("td", {}, [description || schema.description, rules(schema)].filter(Boolean).join("。")));
  }

  // properties lists the fields of a schema, nested ones with their path.
  function properties(schema, prefix, depth, rows) {
    const s = resolve(schema);
    if (s.oneOf || s.anyOf) {
      for (const one of s.oneOf || s.anyOf) properties(one, prefix, depth, rows);
      return rows;
    }
    if (s.type === "array" && depth < MAX_DEPTH) return properties(s.items || {}, prefix + "[]", depth + 1, rows);
    for (const [name, property] of Object.entries(s.properties || {})) {
      const path = prefix ? prefix + "." + name : name;
      rows.push(row(path, (s.required || []).includes(name), property, "", ""));
      if (depth < MAX_DEPTH) properties(property, path, depth + 1, rows);
    }
    return rows;
  }

  function content(media) {
    const out = [];
    const seen = new Map();
    for (const [type, value] of Object.entries(media || {})) {
      const key = JSON.stringify(value);
      if (seen.has(key)) seen.get(key).append("、" + type);
      else {
        const title = el("h3", {}, type);
        seen.set(key, title);
        out.push(title);
        const rows = value.schema ? properties(value.schema, "", 0, []) : [];
        if (rows.length) out.push(table(["字段", "", "类型", "说明"], rows));
        for (const [name, example] of Object.entries(value.examples || {})) {
          out.push(el("div", {}, name), el("pre", {}, JSON.stringify(example.value, null, 2)));
        }
      }
    }
    return out;
  }

  function response(status, value) {
    const r = resolve(value);
    return el("details", {}, el("summary", {}, el("span", { className: "method" }, status), r.description || ""),
      el("div", {}, ...content(r.content)));
  }

  function body(op) {
    const out = el("div", {});
    if (op.description) out.append(el("p", {}, op.description));
    if (op["x-starts"]) {
      const what = op["x-starts"] === true ? "" : "（带 " + op["x-starts"].join("、") + " 时）";
      out.append(el("p", {}, "此请求会启动或改变数据" + what + "。"));
    }
    if (op.parameters) {
      out.append(el("h3", {}, "参数"), table(["名称", "位置", "类型", "说明"],
        op.parameters.map((p) => row(p.name, p.required, p.schema || {}, p.in, p.description))));
    }
    if (op.requestBody) out.append(el("h3", {}, "请求体"), ...content(op.requestBody.content));
    out.append(el("h3", {}, "应答"), ...Object.entries(op.responses).map(([status, r]) => response(status, r)));
    return out;
  }

  function operation(path, method, op) {
    const node = el("details", { className: "operation", id: op.operationId },
      el("summary", {}, el("span", { className: "method" }, method.toUpperCase()), el("span", { className: "path" }, path),
        el("span", {}, op.summary || ""), el("span", { className: "permission" }, op["x-permission"] + " · " + op["x-envelope"])));
    // A description has hundreds of tables; each is made when it is first looked at.
    node.addEventListener("toggle", () => node.childElementCount === 1 && node.append(body(op)));
    node.dataset.text = [method, path, op.summary, op["x-permission"]].join(" ").toLowerCase();
    return node;
  }

  function show() {
    document.title = spec.info.title;
    document.getElementById("title").textContent = spec.info.title + " " + spec.info.version;
    const groups = new Map();
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const method of METHODS.filter((name) => item[name])) {
        const tag = (item[method].tags || ["其他"])[0];
        if (!groups.has(tag)) groups.set(tag, el("section", {}, el("h2", {}, tag)));
        groups.get(tag).append(operation(path, method, item[method]));
      }
    }
    document.getElementById("main").replaceChildren(el("p", {}, spec.info.description || ""), ...groups.values());
    const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (linked) linked.open = true;
  }

  function filter(event) {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const section of document.querySelectorAll("section")) {
      let any = false;
      for (const op of section.querySelectorAll(".operation")) {
        op.hidden = !words.every((word) => op.dataset.text.includes(word));
        any = any || !op.hidden;
      }
      section.hidden = !any;
    }
  }

  document.addEventListener("DOMContentLoaded", async () => {
    document.getElementById("filter").addEventListener("input", filter);
    try {
      const answer = await fetch("/api/openapi.json");
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      spec = await answer.json();
      show();
    } catch (err) {
      document.getElementById("main").replaceChildren(el("p", { className: "error" }, "读取接口描述失败：" + err.message));
    }
  });
})();
