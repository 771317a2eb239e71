package commands

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

func modelsPromoteCommand() *cli.Command {
	return &cli.Command{
		Name: "promote", Usage: "Make a version the champion", ArgsUsage: "VERSION",
		Description: `A version that the gate rejected, or could not decide on, is refused; --force overrules the gate, and the log keeps that.

  recsys-benthos models promote 20260102-150405-9f86d0
  recsys-benthos models promote --force --reason 'the holdout was wrong' 20260102-150405-9f86d0`,
		Flags: []cli.Flag{registryFlag(), jsonFlag(), reasonFlag("promoted by hand"), &cli.BoolFlag{
			Name: "force", Usage: "overrule the gate",
		}}, Action: modelsPromote,
	}
}

func modelsPromote(c *cli.Context) error {
	args, err := arguments(c, 1)
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	version, err := versions.Resolve(args[0])
	if err != nil {
		return err
	}
	promotion, ok, why, err := versions.PromoteByHand(c.Context, version, c.String("reason"), c.Bool("force"), time.Now())
	if errors.Is(err, registry.ErrRefused) {
		return fmt.Errorf("%w; overrule it by --force, with a --reason", err)
	}
	if err != nil {
		return err
	}
	return printChange(c, promotion, ok, why)
}

// printChange prints a change of roles, or why there is none.
func printChange(c *cli.Context, p registry.Promotion, changed bool, why string) error {
	if c.Bool("json") {
		if !changed {
			return printJSON(struct {
				Changed bool   `json:"changed"`
				Reason  string `json:"reason"`
			}{false, why})
		}
		return printJSON(p)
	}
	if !changed {
		fmt.Printf("%s: nothing was recorded\n", why)
		return nil
	}
	fmt.Printf("promotion %d: %s\n", p.Sequence, p.What())
	return nil
}

func modelsRollbackCommand() *cli.Command {
	return &cli.Command{
		Name: "rollback", Usage: "Make that version the champion again which the present one replaced",
		Description: `A second rollback goes further back. The version that is rolled back has no role any more. With --expected nothing happens if
the champion is another one by now.

  recsys-benthos models rollback --reason 'it recommends nothing but sequels'
  recsys-benthos models rollback --expected 20260102-150405-9f86d0 --json`,
		Flags: []cli.Flag{registryFlag(), jsonFlag(), reasonFlag("rolled back by hand"), &cli.StringFlag{
			Name: "expected", Usage: "version that is to be rolled back",
		}}, Action: modelsRollback,
	}
}

func modelsRollback(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	promotion, err := versions.Rollback(c.Context, time.Now(), c.String("reason"), c.String("expected"))
	if err != nil {
		return err
	}
	return printChange(c, promotion, true, "")
}

func modelsChallengeCommand() *cli.Command {
	return &cli.Command{
		Name: "challenge", Usage: "Make a version a challenger, for a share of the users or in shadow", ArgsUsage: "VERSION",
		Description: `In shadow a challenger predicts too, and nobody sees it. All challengers together have at most all users.

  recsys-benthos models challenge --name new --share 0.1 20260102-150405-9f86d0
  recsys-benthos models challenge --name new --share shadow 20260102-150405-9f86d0`,
		Flags: []cli.Flag{
			registryFlag(), jsonFlag(), reasonFlag("tried by hand"),
			&cli.StringFlag{Name: "name", Usage: "of the challenger: its role is challenger:NAME", Required: true},
			&cli.StringFlag{Name: "share", Usage: "of the users, 0 to 1, or \"shadow\"", Value: "shadow"},
		}, Action: modelsChallenge,
	}
}

func modelsChallenge(c *cli.Context) error {
	args, err := arguments(c, 1)
	if err != nil {
		return err
	}
	share := 0.0
	if text := c.String("share"); text != "shadow" {
		if n, err := fmt.Sscanf(text+"\n", "%g\n", &share); n != 1 || err != nil {
			return usagef("--share %q is neither a number from 0 to 1 nor \"shadow\"", text)
		}
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	version, err := versions.Resolve(args[0])
	if err != nil {
		return err
	}
	if _, _, err := versions.Model(version); err != nil {
		return err
	}
	role := roleOf(c.String("name"))
	promotion, changed, err := versions.Assign(c.Context, role, version, share, c.String("reason"), time.Now())
	if err != nil {
		return err
	}
	return printChange(c, promotion, changed, fmt.Sprintf("version %s is %s already, with this share", version, role))
}

// roleOf returns a challenger's role by its name, or by the role itself.
func roleOf(name string) string {
	return registry.ChallengerPrefix + strings.TrimPrefix(name, registry.ChallengerPrefix)
}

func modelsWithdrawCommand() *cli.Command {
	return &cli.Command{
		Name: "withdraw", Usage: "Take the role of a challenger from its version", ArgsUsage: "NAME",
		Description: "  recsys-benthos models withdraw new\n  recsys-benthos models withdraw --reason 'it is slower' new",
		Flags:       []cli.Flag{registryFlag(), jsonFlag(), reasonFlag("withdrawn by hand")}, Action: modelsWithdraw,
	}
}

func modelsWithdraw(c *cli.Context) error {
	args, err := arguments(c, 1)
	if err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	promotion, err := versions.Withdraw(c.Context, roleOf(args[0]), c.String("reason"), time.Now())
	if err != nil {
		return err
	}
	return printChange(c, promotion, true, "")
}

func modelsLogCommand() *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "Show who got which role when and why, the newest last",
		Description: "  recsys-benthos models log --last 20\n  recsys-benthos models log --json",
		Flags:       []cli.Flag{registryFlag(), jsonFlag(), &cli.Int64Flag{Name: "last", Usage: "so many of the newest; 0 is all"}},
		Action:      modelsLog,
	}
}

func modelsLog(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	versions, err := openRegistry(c)
	if err != nil {
		return err
	}
	latest, _, err := versions.Latest()
	if err != nil {
		return err
	}
	after := int64(0)
	if last := c.Int64("last"); last > 0 {
		after = max(0, latest.Sequence-last)
	}
	log := []registry.Promotion{}
	for after < latest.Sequence {
		p, ok, err := versions.Next(after)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("promotion %d is missing from the log of %s (see recsys-benthos models verify)", after+1, versions.URL())
		}
		log, after = append(log, p), p.Sequence
	}
	if c.Bool("json") {
		return printJSON(log)
	}
	if len(log) == 0 {
		fmt.Printf("nothing was promoted in %s yet\n", versions.URL())
		return nil
	}
	table := terminal.NewTable(terminal.Column{Name: "NUMBER"}, terminal.Column{Name: "TIME"}, terminal.Column{Name: "WHAT", Fit: terminal.Wrapped}, terminal.Column{Name: "WHY", Fit: terminal.Wrapped})
	for _, p := range log {
		why := p.Reason
		if p.Forced {
			why = "FORCED: " + why
		}
		table.Row(cells(p.Sequence, p.PromotedAt.Format(time.DateTime), p.What(), why)...)
	}
	return printTable(table)
}
