package wire

import (
	"context"
	"fmt"

	"exporthub/pkg/config"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/storage/disk"
	"exporthub/pkg/storage/qiniu"
)

// openStore opens what STORAGE names.
func (p *Parts) openStore(context.Context) error {
	if p.Config.Storage == config.StorageQiniu {
		return p.openQiniu()
	}
	store, err := disk.Open(p.Config.StorageDir)
	if err != nil {
		return fmt.Errorf("open the storage directory: %w", err)
	}
	p.Store = store
	p.close = append(p.close, func() { _ = store.Close() })
	return nil
}

func (p *Parts) openQiniu() error {
	c := p.Config
	store, err := qiniu.New(qiniu.Options{
		AccessKey: string(c.QiniuAccessKey), SecretKey: string(c.QiniuSecretKey), Bucket: c.QiniuBucket, Domain: c.QiniuDomain,
		PrivateBucket: c.QiniuPrivateBucket, PrivateDomain: c.QiniuPrivateDomain, UpHosts: c.QiniuUpHosts, RSHost: c.QiniuRSHost,
		IdleTimeout: c.QiniuTimeout, Ledger: retention.NewLedger(p.DB, p.now), Now: p.now, Logger: p.Log,
	})
	if err != nil {
		return fmt.Errorf("open the storage at Qiniu: %w", err)
	}
	p.Store = store
	p.close = append(p.close, func() {
		if err := store.Close(); err != nil {
			p.Log.Warn("unfinished uploads are left at Qiniu, where the clean-up will abort them", "error", err)
		}
	})
	return nil
}
