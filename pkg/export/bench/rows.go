package main

import (
	"fmt"
	"strconv"
	"time"

	"exporthub/pkg/dataset"
)

// row is a row of the list that is written: ten columns of the kinds such lists have, some with few
// different values and some that never repeat.
type row struct {
	ID          int64
	At          time.Time
	Status      string
	Description string
	Phone       string
	Company     string
	Department  string
	Position    string
	Cents       int64
	Read        bool

	scratch []byte
}

var (
	statuses    = []string{"applying", "approved", "rejected"}
	labels      = map[string]string{"applying": "待审批", "approved": "已通过", "rejected": "已拒绝"}
	departments = []string{"市场部", "销售部", "研发部", "采购部", "人力资源部", "财务部", "客户服务部", "总经理办公室"}
	positions   = []string{"经理", "总监", "工程师", "专员", "主管", "助理", "总经理", "采购员", "顾问", "其他"}
	cities      = []string{"北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆"}
	trades      = []string{"科技", "贸易", "物流", "电子", "食品", "建材", "医药", "传媒", "教育", "机械"}
	topics      = []string{"邀请参加春季展览会", "希望了解新产品", "需要安排参观", "客户要求补发资料", "已电话确认出席", "等待主管审核"}
	reasons     = []string{"请尽快回复", "时间待定", "随行三人", "需要开具发票", "首次参展", "由同事代为登记", "资料已寄出"}
)

// random is a small generator (xorshift64) that gives every process the same rows. The C program in
// peers/ holds it too.
type random uint64

func (r *random) next(n int) int {
	*r ^= *r << 13
	*r ^= *r >> 7
	*r ^= *r << 17
	return int(uint64(*r) >> 33 % uint64(n))
}

// pick chooses one of several texts.
func pick(r *random, from []string) string { return from[r.next(len(from))] }

var began = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// fill makes the row of that number, from 0 on. It allocates the texts only: the source must not
// cost more than the writers.
func (v *row) fill(i int) {
	// Seeded by the number, so that any row can be made without those before it. Neighbouring seeds
	// give alike first values, which are thrown away.
	r := random(uint64(i)*0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03)
	for range 3 {
		r.next(2)
	}
	v.ID = int64(i + 1)
	v.At = began.Add(time.Duration(i)*27*time.Second + time.Duration(r.next(20))*time.Second)
	v.Status = pick(&r, statuses)
	b := append(append(append(v.scratch[:0], pick(&r, topics)...), ','), pick(&r, reasons)...)
	b = strconv.AppendInt(append(b, ",编号"...), int64(r.next(100000)), 10)
	v.Description = string(b)
	b = strconv.AppendInt(append(b[:0], '1'), 3000000000+int64(r.next(1<<30))*6, 10)
	v.Phone = string(b)
	b = append(append(b[:0], pick(&r, cities)...), pick(&r, trades)...)
	b = strconv.AppendInt(b, 100+int64(r.next(40)), 10)
	v.Company = string(append(b, "有限公司"...))
	v.scratch = b
	v.Department, v.Position = pick(&r, departments), pick(&r, positions)
	v.Cents = int64(r.next(10_000_000))
	v.Read = r.next(2) == 1
}

// titles are the columns, named as an export names them.
var titles = []string{"ID", "时间", "状态", "说明", "手机号", "公司", "部门", "职位", "金额", "已读"}

// sheet is the rows' sheet, with a column of every kind that lists have.
func sheet() dataset.Sheet {
	s := dataset.Sheet{Name: "数据", Location: time.FixedZone("CST", 8*60*60)}
	types := []dataset.Type{
		dataset.Int, dataset.DateTime, dataset.Code, dataset.Text, dataset.Text, dataset.Text, dataset.Text, dataset.Text,
		dataset.Money, dataset.Bool,
	}
	for i, t := range types {
		s.Columns = append(s.Columns, dataset.Column{Key: fmt.Sprint("c", i), Title: titles[i], Type: t})
	}
	s.Columns[2].Labels = labels
	return s
}

// values fills a row's cells, in the order of titles. into is reused.
func (v *row) values(into []dataset.Value) {
	into[0] = dataset.Number(v.ID)
	into[1] = dataset.Instant(v.At)
	into[2] = dataset.String(v.Status)
	into[3] = dataset.String(v.Description)
	into[4] = dataset.String(v.Phone)
	into[5] = dataset.String(v.Company)
	into[6] = dataset.String(v.Department)
	into[7] = dataset.String(v.Position)
	into[8] = dataset.Number(v.Cents)
	into[9] = dataset.Truth(v.Read)
}
